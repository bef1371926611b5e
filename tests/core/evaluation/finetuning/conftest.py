"""A toy run that is ready to be fine-tuned, and task files to fine-tune it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.toy_plugin import WORDS

from clozebox.training.console import Console
from clozebox.training.setup import Training, set_up

Write = Callable[..., Path]


@pytest.fixture
def ready_run(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    """``ready_run("name", **changes)``: the toy arm with its initial weights."""

    def make(name: str = "run", seed: int = 0, **changes: Any) -> Training:
        return set_up(make_run(name, seed=seed, **changes), registry, Console().say)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write("file.tsv", text_or_bytes)``: a file in the test's folder."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def texts(count: int, first: int = 0) -> list[tuple[str, str]]:
    """Texts of toy words, "left" where they hold an early word and "right" where a late one."""
    found = []
    for number in range(first, first + count):
        picks = [(7 * number + 3 * place) % 18 for place in range(3 + number % 4)]
        side = number % 2
        words = [WORDS[1:19][pick] for pick in picks]
        words.insert(number % len(words), WORDS[0] if side else WORDS[19])
        found.append((" ".join(words), ("right", "left")[side]))
    return found


@pytest.fixture
def party(write: Write) -> Path:
    """A task that toy weights learn in a few epochs."""
    for name, count, first in (("train", 48, 0), ("dev", 16, 100), ("test", 20, 200)):
        lines = [f"{text}\t{label}" for text, label in texts(count, first)]
        write(f"{name}.tsv", "\n".join(["sentence\tside", *lines]) + "\n")
    return write(
        "party.toml",
        """# Which side is it?
kind = "classification"
format = "tsv"
train = "train.tsv"
development = "dev.tsv"
test = "test.tsv"
text = "sentence"
label = "side"
[finetuning]
lr = 5e-3
epochs = 4
batch_size = 8
seeds = [0, 1]
""",
    )
