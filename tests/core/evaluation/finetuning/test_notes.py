"""What makes a score say less than it seems to is told before it is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.toy_plugin import WORDS

from clozebox.evaluation.finetuning.dataset import load_dataset
from clozebox.evaluation.finetuning.notes import notes_on
from clozebox.evaluation.finetuning.task import read_task
from clozebox.evaluation.finetuning.tasks import ready
from clozebox.training.setup import Training

Write = Callable[..., Path]
Notes = Callable[..., list[str]]


@pytest.fixture
def notes(ready_run: Callable[..., Training]) -> Notes:
    def of(path: Path, *overrides: str) -> list[str]:
        task, training = read_task(path, overrides), ready_run()
        return notes_on(ready(task, load_dataset(task), training.model, training.held_out))

    return of


@pytest.fixture
def sides(write: Write) -> Path:
    """A task of three splits without a text in common, and none of more than five tokens."""
    for first, (name, count) in enumerate((("train", 12), ("dev", 6), ("test", 8))):
        lines = [f"{WORDS[first]} {WORDS[3 + n]}\t{'ab'[n % 2]}" for n in range(count)]
        write(f"{name}.tsv", "\n".join(lines) + "\n")
    given = 'kind = "classification"\nformat = "tsv"\ntext = 0\nlabel = 1\n'
    files = 'train = "train.tsv"\ndevelopment = "dev.tsv"\ntest = "test.tsv"\n'
    return write("sides.toml", given + files)


def test_there_is_nothing_to_say_of_splits_that_share_nothing(notes: Notes, sides: Path) -> None:
    assert notes(sides) == []


def test_examples_in_two_splits_are_counted_whatever_their_labels(
    notes: Notes, sides: Path
) -> None:
    learned = sides.with_name("train.tsv").read_text().splitlines()[:3]
    with sides.with_name("test.tsv").open("a") as file:
        file.write("".join(f"{line[:-1]}b\n" for line in learned))
    assert notes(sides) == ["3 of 11 test examples are train examples too"]
    assert notes(sides, "test=dev.tsv") == ["6 of 6 test examples are development examples too"]
    assert notes(sides, "development=train.tsv", "test=dev.tsv") == [
        "12 of 12 development examples are train examples too"
    ]


def test_a_split_that_chooses_and_is_scored_on_is_named(
    notes: Notes, sides: Path, write: Write
) -> None:
    text = sides.read_text().replace('test = "test.tsv"\n', "")
    assert notes(write("two.toml", text)) == [
        "no test file: the split that is scored on has chosen the epoch or layer too"
    ]


def test_examples_that_are_cut_are_counted(notes: Notes, sides: Path) -> None:
    with sides.with_name("test.tsv").open("a") as file:
        file.write(f"{'ash ' * 6}\ta\n{'ash ' * 7}\ta\n")
    assert notes(sides) == []
    cut = ["1 of 10 test examples are cut: they exceed 8 tokens"]
    assert notes(sides, "finetuning.seq_length=8") == cut


def test_answers_that_no_window_holds_are_counted(notes: Notes, write: Write) -> None:
    answers = ("ash " * 3, "bay " * 60)
    qas = [
        {"id": str(n), "question": "elm", "answers": [{"text": text, "answer_start": 12 * n}]}
        for n, text in enumerate(answers)
    ]
    refused = {"id": "3", "question": "fir", "is_impossible": True}
    paragraph = {"context": "".join(answers), "qas": [*qas, refused]}
    write("d", json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    given = 'kind = "question_answering"\nformat = "squad"\ntrain = "d"\ndevelopment = "d"\n'
    expected = "windows of 20 tokens hold no whole answer of 1 of 2 train questions"
    assert expected in notes(write("q.toml", given))
