"""`clozebox evaluate`: the run's own yardsticks, or one that is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clozebox.report.records import read_run
from clozebox.training import RunDirectory
from clozebox.training.console import Console
from clozebox.training.run import run_training

Clozebox = Callable[..., int]
Captured = pytest.CaptureFixture[str]

GUESSED = """
from clozebox import EvaluationTaskConfig, hookimpl

class Guessed(EvaluationTaskConfig):
    name = "guessed"
    right: int

    def build(self):
        from clozebox.evaluation import Accuracy, EvaluationTask
        right = self.right

        class Task(EvaluationTask):
            def evaluate(self, model, held_out):
                return {"guessed_accuracy": Accuracy.of(right, 10), "plain": 0.5}

        return Task()

@hookimpl
def register_evaluation_tasks():
    return [Guessed]
"""


@pytest.fixture
def run(make_run: Callable[..., Any], registry: Any) -> str:
    made = make_run(budget={"steps": 1}, train={"evals": 1})
    assert run_training(made, registry, Console()) == 0
    return str(made.path)


def test_a_run_is_measured_by_its_own_yardsticks_or_by_another(
    run: str, clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    assert clozebox("evaluate", run, plugin=None) == 0
    printed = capsys.readouterr().out
    assert "eval/hidden_loss" in printed
    assert "[" not in printed

    guessed = folder / "guessed.py"
    guessed.write_text(GUESSED)
    asked = ["evaluate", run, "--task", "guessed", "--set", "right=8"]
    assert clozebox(*asked, plugin=guessed) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.endswith("step 1")
    assert [line.split() for line in lines] == [
        ["eval/guessed_accuracy", "0.8000", "[0.4902,", "0.9433]"],
        ["eval/plain", "0.5000"],
    ]
    assert clozebox(*asked, "--json", plugin=guessed) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["eval/guessed_accuracy"] == 0.8
    assert found["intervals"] == {
        "eval/guessed_accuracy": pytest.approx([0.4902, 0.9433], abs=1e-4)
    }

    for arguments, told in (
        (["--set", "right=8"], "--set and --keep are for --task, which is not given"),
        (["--keep"], "--set and --keep are for --task, which is not given"),
        (["--task", "gessed"], "did you mean 'guessed'"),
        (["--task", "guessed"], "right: Field required"),
        (["--task", "guessed", "--set", "right=many"], "right: Input should be a valid integer"),
        (["--task", "guessed", "--set", "wrong=1"], "wrong: Extra inputs are not permitted"),
    ):
        assert clozebox("evaluate", run, *arguments, plugin=guessed) == 2
        assert told in capsys.readouterr().err


def test_what_a_task_finds_is_kept_where_runs_are_compared_if_that_is_asked(
    run: str, clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    guessed = folder / "guessed.py"
    guessed.write_text(GUESSED)
    directory = RunDirectory(Path(run))
    before = directory.metrics()
    asked = ["evaluate", run, "--task", "guessed", "--set", "right=8"]
    assert clozebox(*asked, plugin=guessed) == 0
    assert "only shown; --keep adds it to the run's metrics" in capsys.readouterr().err
    assert directory.metrics() == before
    assert clozebox(*asked, "--keep", plugin=guessed) == 0
    assert f"kept in {directory.metrics_path}" in capsys.readouterr().err
    *others, last = directory.metrics()
    assert others == before
    assert (last["step"], last["eval/guessed_accuracy"], last["eval/plain"]) == (1, 0.8, 0.5)
    assert read_run(directory).final["eval/guessed_accuracy"] == 0.8

    directory.write_status("interrupted")
    assert clozebox(*asked, "--keep", plugin=guessed) == 0
    error = capsys.readouterr().err
    assert "the run is not done: its metrics.jsonl is left as it is" in error
    assert "kept" not in error
