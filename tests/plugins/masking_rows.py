"""Sequences of words of known sizes, and a text that is written out in ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from clozebox import MaskingConfig
from clozebox.data import Rows, TrainingText, Vocabulary
from clozebox.pretraining import Batch

CLS, SEP = 2, 3
VOCABULARY = Vocabulary(
    60, 0, 1, CLS, SEP, 4, special_ids=(0, 1, 2, 3, 4), continuation_ids=tuple(range(50, 60))
)
WORD, PIECE = 10, 50
"""An id that begins a word, and one that continues it."""


@dataclass(frozen=True, eq=False)
class WrittenText:
    """A training text of given sentences: what strategies read of a TrainingText."""

    sentences: Sequence[Sequence[int]]
    vocabulary: Vocabulary = VOCABULARY

    def blocks(self, most: int = 0) -> list[Any]:
        """Two blocks, since what is counted must be counted over all of them."""
        middle = (len(self.sentences) + 1) // 2
        return [_block(part) for part in (self.sentences[:middle], self.sentences[middle:]) if part]

    @property
    def counts(self) -> np.ndarray:
        ids = np.concatenate([block.ids for block in self.blocks()])
        return np.bincount(ids, minlength=self.vocabulary.size)


def _block(sentences: Sequence[Sequence[int]]) -> Any:
    ids = np.concatenate([np.array(one, dtype=np.int64) for one in sentences])
    begins = np.zeros(len(ids), dtype=np.bool_)
    begins[np.cumsum([0, *map(len, sentences)])[:-1]] = True
    return SimpleNamespace(ids=ids, begins=begins)


NO_TEXT: Any = SimpleNamespace(vocabulary=VOCABULARY)


def batch_of(
    contents: Sequence[Sequence[int]],
    masking: MaskingConfig | None = None,
    text: TrainingText | Any = NO_TEXT,
    seed: int = 0,
    first: int = 0,
) -> Batch:
    """``[CLS] content [SEP]`` and padding for each list of ids; a SEP inside is a special token."""
    width = max(map(len, contents)) + 2
    ids = np.array([[CLS, *one, SEP] + [0] * (width - 2 - len(one)) for one in contents])
    rows = Rows(ids, np.zeros_like(ids), ids != 0, np.isin(ids, (0, CLS, SEP)))
    strategy = None if masking is None else masking.build(text)
    return Batch.of(rows, VOCABULARY, strategy, seed=seed, first=first)


def words_of_sizes(sizes: Sequence[int]) -> list[int]:
    """The ids of words with so many pieces."""
    return [id for size in sizes for id in (WORD, *[PIECE] * (size - 1))]


def single_words(sequences: int, words: int) -> list[list[int]]:
    """Sequences of words of one piece each."""
    return [[WORD] * words] * sequences
