"""A corpus: documents, each a list of sentences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TypeAlias

Document: TypeAlias = Sequence[str]
"""The sentences of one document, in order."""


class Corpus(ABC):
    """Text to learn from. It is read more than once, and must be the same each time."""

    @abstractmethod
    def documents(self) -> Iterator[Document]:
        """Every document, in a fixed order; a new iterator at each call.

        Raises UserError naming the file and the place when the text cannot be read.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the content: another text, or another way to cut it, is another fingerprint."""
