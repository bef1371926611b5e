"""A task file is refused with every mistake at once, each with its line and a suggestion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clozebox.config import ConfigError
from clozebox.errors import UserError
from clozebox.evaluation.finetuning.glue import GLUE
from clozebox.evaluation.finetuning.settings import METRICS
from clozebox.evaluation.finetuning.task import read_task

Write = Callable[..., Path]
START = 'kind = "{}"\nformat = "{}"\ntrain = "a"\ndevelopment = "b"\n'
COLUMNS = 'text = "t"\nlabel = "l"\n'


def problems(write: Write, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        read_task(write("task.toml", text))
    return refused.value.problems


def test_a_task_says_its_name_its_metric_and_its_files(party: Path) -> None:
    task = read_task(party)
    assert (task.name, task.metric) == ("party", "accuracy")
    assert task.files == {
        "train": party.parent / "train.tsv",
        "development": party.parent / "dev.tsv",
        "test": party.parent / "test.tsv",
    }
    changed = read_task(party, ["finetuning.lr=1e-3", "metric=macro_f1"])
    assert (changed.settings.finetuning.lr, changed.metric) == (1e-3, "macro_f1")
    assert changed.settings.finetuning.epochs == 4


def test_every_mistake_is_told_at_once_with_line_and_suggestion(write: Write) -> None:
    given = START.format("clasification", "tsv") + "texts = 1\n[finetuning]\nlr = -1.0\n"
    found = problems(write, given)
    assert len(found) == 3
    assert "task.toml:1: kind:" in found[0]
    assert "did you mean 'classification'?" in found[0]
    assert "task.toml:5: texts: unknown key; did you mean 'text'?" in found[1]
    assert "task.toml:7: finetuning.lr:" in found[2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (START.format("regression", "squad"), "no other kind has"),
        (START.format("question_answering", "tsv") + COLUMNS, "question_answering has format"),
        (START.format("question_answering", "squad") + 'text = "t"', "text: nothing reads it"),
        (START.format("classification", "conll") + "text = 0\nlabel = 1\n", "conll holds tags"),
        (START.format("tagging", "conll") + COLUMNS, "columns are numbers from 0"),
        (START.format("classification", "jsonl") + "text = 0\nlabel = 1\n", "have names"),
        (START.format("classification", "csv") + 'text = 0\nlabel = "l"\n', "all names, or all"),
        (START.format("classification", "csv") + 'label = "l"\n', "text: must be given"),
        (START.format("tagging", "csv") + COLUMNS + 'text_pair = "p"\n', "tagging has one text"),
        (START.format("regression", "csv") + COLUMNS + 'labels = ["a", "b"]\n', "no classes"),
        (START.format("tagging", "csv") + COLUMNS + 'labels = ["a", "a"]\n', "all different"),
        (
            START.format("regression", "csv") + COLUMNS + 'metric = "pearson_corelation"\n',
            "did you mean 'pearson_correlation'?",
        ),
        (
            START.format("tagging", "csv") + COLUMNS + "[finetuning]\ndoc_stride = 9\n",
            "finetuning.doc_stride: nothing reads it",
        ),
        (START.format("tagging", "csv") + COLUMNS + 'glue = "rte"\n', 'with format = "glue"'),
        (START.format("tagging", "csv") + COLUMNS + "[finetuning]\nseeds = [1, 1]\n", "distinct"),
        ('format = "glue"\nglue = "sts2"\n', "glue: no such task"),
        ('format = "glue"\n', "glue: must be given"),
        ('format = "glue"\nglue = "rte"\ntext = "x"\n', "GLUE's rte says this itself"),
    ],
)
def test_what_does_not_fit_together_is_refused(write: Write, text: str, reason: str) -> None:
    [problem] = problems(write, text)
    assert reason in problem
    assert "task.toml:" in problem


@pytest.mark.parametrize("name", sorted(GLUE))
def test_a_glue_task_needs_only_its_name(write: Write, name: str) -> None:
    task = read_task(write("task.toml", f'format = "glue"\nglue = "{name}"\n'))
    assert task.metric in METRICS[task.settings.kind]
    assert task.settings.development.startswith("dev")


def test_no_such_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.toml: cannot be read: No such file"):
        read_task(tmp_path / "nowhere.toml")
