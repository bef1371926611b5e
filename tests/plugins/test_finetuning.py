"""Fine-tuning and probing inside a run, and a published model as a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from clozebox.cli import main
from clozebox.errors import UserError
from clozebox.testing import assert_passes
from clozebox.training import RunDirectory
from clozebox.training.checkpoint import newest_checkpoint
from clozebox.training.console import Console
from clozebox.training.export import export_run
from clozebox.training.run import run_training

Clozebox = Callable[..., int]
TASK = """kind = "classification"
format = "tsv"
train = "d.tsv"
development = "d.tsv"
text = 0
label = 1
[finetuning]
lr = 1e-2
epochs = 1
seeds = [0]
seq_length = 16
"""


@pytest.fixture
def task(tmp_path: Path) -> str:
    """A path to a small task: which word comes first?"""
    rows = [f"{first} {other}\t{first}" for first in ("ash", "elm") for other in ("bay", "cob")]
    (tmp_path / "d.tsv").write_text("\n".join(rows * 3) + "\n")
    (tmp_path / "first.toml").write_text(TASK)
    return str(tmp_path / "first.toml")


@pytest.mark.parametrize("name", ["finetune", "probe"])
def test_they_keep_the_promises_of_evaluation_tasks(
    name: str, task: str, registry: Any, tmp_path: Path
) -> None:
    with (tmp_path / "d.tsv").open("a") as file:
        file.write("ash bay\telm\n" * 3)  # nobody can be right about both
    assert_passes(name, {"tasks": [task]}, registry=registry)


def test_a_run_is_fine_tuned_and_probed_at_its_end_alone_unless_told_otherwise(
    make_run: Callable[..., Any], registry: Any, task: str
) -> None:
    options = {"finetune": {"tasks": [task]}, "probe": {"tasks": [task], "when": "always"}}
    run = make_run(evaluations=["own_losses", "finetune", "probe"], evaluation=options)
    assert run_training(run, registry, Console()) == 0
    found = [line for line in run.metrics() if "eval/hidden_loss" in line]
    assert ["eval/first_accuracy" in line for line in found] == [False, True]
    assert ["eval/first_probe_accuracy" in line for line in found] == [True, True]
    result = run.status()["result"]
    for name in ("first_accuracy", "first_probe_accuracy"):
        assert {f"eval/{name}", f"eval/{name}_random", f"eval/{name}_majority"} <= result.keys()
    assert result["eval/first_accuracy_majority"] == 0.5


def test_what_is_measured_at_the_end_changes_nothing_of_the_training(
    make_run: Callable[..., Any], registry: Any, task: str
) -> None:
    weights = []
    for name, given in (("with", ["finetune", "probe"]), ("without", [])):
        options = {one: {"tasks": [task], "when": "always"} for one in given}
        run = make_run(name, evaluations=["own_losses", *given], evaluation=options)
        assert run_training(run, registry, Console()) == 0
        checkpoint = newest_checkpoint(run.checkpoints)
        assert checkpoint is not None
        weights.append(load_file(checkpoint / "model.safetensors"))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_bad_data_is_refused_before_anything_is_trained(
    make_run: Callable[..., Any], registry: Any, task: str, tmp_path: Path
) -> None:
    with (tmp_path / "d.tsv").open("a") as file:
        file.write("no label\n")
    run = make_run(evaluations=["finetune"], evaluation={"finetune": {"tasks": [task]}})
    with pytest.raises(UserError, match=r"d\.tsv:13: no column 1"):
        run_training(run, registry, Console())
    assert run.metrics() == []
    assert run.status()["state"] == "failed"


def test_two_tasks_of_one_name_are_refused(task: str, registry: Any) -> None:
    config = registry.get("evaluation task", "finetune")
    with pytest.raises(UserError, match="two tasks are named 'first'"):
        config(tasks=(task, task)).build()


BERT = {
    "embedding": {"name": "bert", "max_position_embeddings": 32},
    "encoder": {"name": "bert", "hidden_dropout_prob": 0.2},
}


@pytest.fixture
def published(make_run: Callable[..., Any], registry: Any, tmp_path: Path) -> Callable[..., Path]:
    """``published(objectives)``: a Hugging Face folder of a model that was trained a little."""

    def make(*objectives: str) -> Path:
        masking = {} if "mlm" in objectives else {"masking": "none"}
        run = make_run(
            "trained",
            objectives=list(objectives),
            evaluations=["held_out"],
            budget={"steps": 2},
            **BERT,
            **masking,
        )
        assert run_training(run, registry, Console()) == 0
        export_run(run, tmp_path / "folder", registry, Console().say)
        return tmp_path / "folder"

    return make


@pytest.fixture
def clozebox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clozebox:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("\n\n".join(["Ash and elm. Bay and cob."] * 30))
    (tmp_path / "sandbox.toml").write_text(
        '[defaults]\ncorpus = { name = "text", files = ["text.txt"], layout = "paragraphs" }\n'
    )

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["clozebox", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        assert isinstance(done.value.code, int)
        return done.value.code

    return run


def weights_of(run: RunDirectory) -> dict[str, torch.Tensor]:
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    return load_file(checkpoint / "model.safetensors")


def test_an_imported_folder_is_a_run_of_the_same_model(
    published: Callable[..., Path],
    clozebox: Clozebox,
    tmp_path: Path,
    task: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = published("mlm", "nsp")
    assert clozebox("import", str(folder), "theirs") == 0
    assert "fresh" not in capsys.readouterr().err
    run = RunDirectory(tmp_path / "runs" / "theirs" / "imported" / "seed-0")
    trained = weights_of(RunDirectory(tmp_path / "trained"))
    assert weights_of(run).keys() == trained.keys()
    assert all(torch.equal(value, trained[name]) for name, value in weights_of(run).items())
    assert run.resolved()["settings"]["encoder"]["hidden_dropout_prob"] == 0.2

    name = "theirs/imported/seed-0"
    assert clozebox("fill", name, "ash [MASK]") == 0
    assert clozebox("evaluate", name) == 0
    assert "mlm_loss" in capsys.readouterr().out
    assert clozebox("finetune", name, task) == 0
    assert clozebox("runs", "list") == 0
    assert clozebox("export", name, "again") == 0
    first, second = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_what_a_folder_lacks_is_fresh_and_named(
    published: Callable[..., Path], clozebox: Clozebox, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published("nsp")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "seq_relationship" not in name}
    save_file(kept, folder / "model.safetensors")
    assert clozebox("import", str(folder), "theirs") == 0
    error = capsys.readouterr().err
    assert "fresh: objectives.nsp.classifier.bias, objectives.nsp.classifier.weight\n" in error
    assert clozebox("fill", "theirs/imported/seed-0", "ash [MASK]") == 2
    assert "none of the run's objectives fills in blanks" in capsys.readouterr().err


def test_an_import_that_cannot_work_leaves_nothing_behind(
    published: Callable[..., Path],
    clozebox: Clozebox,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = published("mlm")
    for arguments, reason in (
        ((str(tmp_path), "theirs"), "is not a BERT folder"),
        ((str(folder), "a/b"), "NAME is letters, digits"),
        ((str(folder), "theirs", "--set", "corpus.files=['no.txt']"), "no.txt"),
        ((str(folder), "theirs", "--set", "tokenizer.path=x.json"), "the folder's own tokenizer"),
        ((str(folder), "theirs", "--set", "size.hidden_size=48"), "embedding.norm.bias is (24,)"),
    ):
        assert clozebox("import", *arguments) == 2
        assert reason in capsys.readouterr().err
        assert not (tmp_path / "runs" / "theirs" / "imported" / "seed-0").exists()
    assert clozebox("import", str(folder), "theirs") == 0
    assert clozebox("import", str(folder), "theirs") == 2
    assert "exists already: give the run another name" in capsys.readouterr().err
