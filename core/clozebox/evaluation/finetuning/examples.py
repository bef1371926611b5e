"""Labelled examples: a text or two and a label, words and tags, a question and its answers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LabelledText:
    """A text, or a pair of them, and what it is: a class's number, or a value."""

    text: str
    text_pair: str | None
    label: int | float

    @property
    def content(self) -> Hashable:
        """What is read, without what is asked."""
        return self.text, self.text_pair


@dataclass(frozen=True)
class TaggedWords:
    """The words of a sentence, and the number of each one's tag."""

    words: tuple[str, ...]
    tags: tuple[int, ...]

    @property
    def content(self) -> Hashable:
        """What is read, without what is asked."""
        return self.words


@dataclass(frozen=True)
class Question:
    """A question about a context; one without answers cannot be answered from it."""

    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]
    """Of each answer, the character of the context at which it begins."""

    @property
    def content(self) -> Hashable:
        """What is read, without what is asked."""
        return self.question, self.context


@dataclass(frozen=True, eq=False)
class Dataset:
    """The examples of a task, all of one kind."""

    splits: dict[str, Sequence[Any]]
    """``train``, ``development`` and, where there is one, ``test``."""
    labels: tuple[str, ...]
    """The classes or tags; their place is their number. None where values or answers are asked."""
    fingerprint: str
    """SHA-256 of the files."""
    passed_over: Mapping[Path, int] = field(default_factory=dict)
    """Lines of each file that are left out, as its layout allows."""

    @property
    def scored(self) -> str:
        """The split that the last word is about."""
        return "test" if "test" in self.splits else "development"
