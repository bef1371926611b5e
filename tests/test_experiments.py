"""The experiments that are shipped: each is right, and each recipe trains, every arm of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import TOY_PLUGIN

from clozebox.config import load_experiment
from clozebox.config.sandbox import Sandbox
from clozebox.registry import Registry
from clozebox.training import RunDirectory
from clozebox.training.console import Console
from clozebox.training.run import run_training

FOLDER = Path(__file__).resolve().parents[1] / "experiments"
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.toml"))
RECIPES = [name for name in SHIPPED if not name.startswith("reading_direction")]
SMALL = (
    "size=toy",
    "corpus=toy",
    "tokenizer.vocab_size=300",
    "budget.steps=2",
    "train.batch_size=16",  # of which a sixteenth is one sequence
    "train.seq_length=24",
    "train.evals=1",
    "evaluation.held_out.sequences=8",
    "evaluation.cloze.sequences=8",
    "speed.device=cpu",
)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_experiment_has_nothing_wrong_and_asks_a_question(
    name: str, registry: Registry
) -> None:
    asked = load_experiment(FOLDER / f"{name}.toml", registry)
    assert asked.question.endswith("?")


@pytest.mark.parametrize("name", RECIPES)
def test_every_arm_of_a_recipe_trains(
    name: str, registry: Registry, tmp_path: Path, cache: Path
) -> None:
    sandbox = Sandbox(tmp_path, tmp_path / "runs", cache)
    file = FOLDER / f"{name}.toml"
    fine_tunes = "finetune" in file.read_text()
    small = (*SMALL, f'evaluation.finetune.tasks=["{a_task(tmp_path)}"]') if fine_tunes else SMALL
    asked = load_experiment(file, registry, small, sandbox)
    for arm in asked.arms:
        run = RunDirectory.create(
            RunDirectory.path_of(sandbox.runs, asked.name, arm.name, 0),
            experiment=asked,
            arm=arm,
            seed=0,
            cache=cache,
            plugins=[TOY_PLUGIN],
        )
        assert run_training(run, registry, Console()) == 0
        assert run.status()["state"] == "done"


def a_task(folder: Path) -> Path:
    """Labelled examples, as few as will do: the shipped ones take most of a minute."""
    lines = [f"{word} {word}\t{label}" for word, label in zip("abcdefgh", "xyxyxyxy", strict=True)]
    for name, some in (("train", lines[:4]), ("dev", lines[4:6]), ("test", lines[6:])):
        (folder / f"{name}.tsv").write_text("\n".join(["text\tlabel", *some, ""]))
    task = folder / "tiny_task.toml"
    task.write_text(
        'kind = "classification"\nformat = "tsv"\ntrain = "train.tsv"\ndevelopment = "dev.tsv"\n'
        'test = "test.tsv"\ntext = "text"\nlabel = "label"\n'
        "[finetuning]\nepochs = 1\nseeds = [0]\n"
    )
    return task
