"""What the README shows is what works: its objective is loaded, trained and counted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clozebox.config import load_experiment
from clozebox.registry import load_registry
from clozebox.testing import assert_passes
from clozebox.training.console import Console
from clozebox.training.setup import set_up
from clozebox.training.step import train_step

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def idea(tmp_path: Path) -> Path:
    [code] = re.findall(r"```python\n(\"\"\".*?)```", README, flags=re.DOTALL)
    file = tmp_path / "swapped.py"
    file.write_text(code)
    return file


def test_the_objective_in_the_readme_is_under_forty_lines(idea: Path) -> None:
    lines = [line for line in idea.read_text().splitlines() if line.strip()]
    assert len(lines) < 40


def test_the_objective_in_the_readme_trains(idea: Path, make_run: Callable[..., Any]) -> None:
    both = load_registry(paths=[Path(__file__).parent / "toy_plugin.py", idea])
    run = make_run(with_registry=both, objectives=["swapped"], masking="none")
    training = set_up(run, both, Console().say)
    training.optimizer.set_lr(0.01)
    batches = training.batches(0)
    view = training.model.objectives["swapped"].view(batches[0])
    moved = view.input_ids != batches[0].input_ids
    assert moved.any()
    assert ((view.labels == 1) | ~moved).all(), "what moved is labelled as moved"
    assert (view.labels[batches[0].special_tokens_mask] == -100).all()
    assert view.input_ids.sort(1).values.equal(batches[0].input_ids.sort(1).values)
    objectives = training.model.each_objective()
    steps = [train_step(training, objectives, batches) for _ in range(80)]
    losses = [step.sums["swapped_loss"].item() for step in steps]
    assert losses[-1] < 0.5 * losses[0]


def test_the_objective_in_the_readme_keeps_its_promises(idea: Path) -> None:
    assert_passes("swapped", registry=load_registry(paths=[idea]))


def test_the_question_in_the_readme_is_an_experiment(idea: Path, tmp_path: Path) -> None:
    [question] = re.findall(r"```toml\n(#.*?)```", README, flags=re.DOTALL)
    file = tmp_path / "swapped.toml"
    file.write_text(question)
    asked = load_experiment(file, load_registry(paths=[idea]))
    assert asked.question == "Does telling moved words apart help to fill in blanks?"
    assert [arm.name for arm in asked.arms] == ["mlm", "mlm-swapped"]


def test_the_phases_in_the_readme_are_an_experiment(tmp_path: Path) -> None:
    [combined] = re.findall(r"```toml\n(objectives.*?)```", README, flags=re.DOTALL)
    file = tmp_path / "phases.toml"
    file.write_text('corpus = "sotu"\nbudget = { steps = 40 }\n' + combined)
    [arm] = load_experiment(file, load_registry()).arms
    assert [phase.objectives for phase in arm.phases] == [("ar_forward",), ("mlm",)]


def test_the_readme_shows_the_tree_as_it_is() -> None:
    [tree] = re.findall(r"```\n(README\.md .*?)```", README, flags=re.DOTALL)
    for line in tree.splitlines():
        path = line.split()[0]
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^\./sandbox (\w+)", README, re.M))))
def test_every_command_in_the_readme_exists(command: str) -> None:
    if command in {"demo", "test", "setup"}:
        assert f"./sandbox {command}" in (ROOT / "sandbox").read_text()
        return
    shown = subprocess.run(
        [sys.executable, "-m", "clozebox", command, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
