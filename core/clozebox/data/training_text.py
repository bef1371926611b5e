"""What a masking strategy may count: the documents that are trained on, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clozebox.data.token_store import Ids, TokenStore, ranges
from clozebox.data.vocabulary import Vocabulary

_BLOCK = 1 << 20


class Block(NamedTuple):
    """Consecutive sentences: their ids (n,), and where a sentence begins (n,) bool."""

    ids: Ids
    begins: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TrainingText:
    """The training documents of a token store."""

    store: TokenStore
    documents: Ids
    """Sorted ids of the documents."""

    @property
    def vocabulary(self) -> Vocabulary:
        return self.store.vocabulary

    def blocks(self, most: int = 1 << 25) -> Iterator[Block]:
        """The text in blocks of about a million tokens, whole documents in each.

        Of a text longer than ``most`` tokens, every n-th document, spread evenly over all of it.
        """
        borders = self.store.sentence_offsets[self.store.document_offsets]  # (all documents + 1,)
        lengths = (borders[1:] - borders[:-1])[self.documents]
        chosen = self.documents[:: max(1, -(-int(lengths.sum()) // most))]
        ends = np.cumsum((borders[1:] - borders[:-1])[chosen])
        for part in np.split(chosen, np.flatnonzero(np.diff(ends // _BLOCK)) + 1):
            yield self._block(part, borders)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each id occurs in the blocks: (V,)."""
        total = np.zeros(self.vocabulary.size, dtype=np.int64)
        for block in self.blocks():
            total += np.bincount(block.ids, minlength=self.vocabulary.size)
        return total

    def _block(self, documents: Ids, borders: Ids) -> Block:
        ids = self.store.tokens[ranges(borders[documents], borders[documents + 1])].astype(np.int64)
        offsets, first = self.store.sentence_offsets, self.store.document_offsets
        sentences = ranges(first[documents], first[documents + 1])
        lengths = offsets[sentences + 1] - offsets[sentences]
        begins = np.zeros(len(ids), dtype=np.bool_)
        begins[np.concatenate([[0], np.cumsum(lengths)[:-1]])] = True
        return Block(ids, begins)
