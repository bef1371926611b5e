"""Rows of examples, and the endless shuffled stream they are read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from clozebox.data.streams import permutation

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]
Table = TypeVar("Table")


@dataclass(frozen=True)
class Rows:
    """B sequences of T tokens: ``[CLS] A [SEP]`` or ``[CLS] A [SEP] B [SEP]``, then padding."""

    input_ids: Ids  # (B, T)
    token_type_ids: Ids  # (B, T): 1 for B and the [SEP] that ends it
    attention_mask: Flags  # (B, T): True at a real token
    special_tokens_mask: Flags  # (B, T): True at [CLS], [SEP] and padding
    pair_label: Ids | None = None  # (B,): 0 = B follows A; 1 = it is from elsewhere, or comes first


class Examples(ABC, Generic[Table]):
    """The examples of a set of documents, laid out per epoch in a table.

    Position ``p`` of the stream lies in epoch ``p // len(self)``, where each epoch has an order of
    its own. What it holds depends on the seed and on ``p`` alone, so a stream can be entered
    anywhere, cut anywhere and read by any number of ranks.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        # Two, because a call may lie across the border of two epochs.
        self._cached_table = lru_cache(maxsize=2)(self._table)
        self._cached_order = lru_cache(maxsize=2)(self._order)

    def __len__(self) -> int:
        """Examples in an epoch."""
        return self._length

    @cached_property
    def _length(self) -> int:
        return self._size(self._cached_table(0))

    def rows(self, first: int, count: int) -> Rows:
        """Positions ``first .. first + count`` of the shuffled stream -> Rows of B = count."""
        length = len(self)
        parts = []
        for epoch in range(first // length, (first + count - 1) // length + 1):
            begin = max(first - epoch * length, 0)
            end = min(first + count - epoch * length, length)
            parts.append(
                self._gather(self._cached_table(epoch), self._cached_order(epoch)[begin:end])
            )
        return parts[0] if len(parts) == 1 else _concatenated(parts)

    def in_order(self, first: int, count: int) -> Rows:
        """Examples ``first .. first + count`` of epoch 0, unshuffled; fewer at the end of them."""
        return self._gather(self._cached_table(0), np.arange(first, min(first + count, len(self))))

    def _order(self, epoch: int) -> Ids:
        """Which examples of the epoch's table come when: (len(self),).

        Tables of pairs differ in size from epoch to epoch. Every epoch is given the length of epoch
        0, leaving out or repeating a random few, so that a position tells its epoch at once.
        """
        order = permutation(self._seed, "epoch order", epoch, self._size(self._cached_table(epoch)))
        return np.resize(order, len(self))

    @abstractmethod
    def _table(self, epoch: int) -> Table:
        """Where the examples of an epoch lie."""

    @abstractmethod
    def _size(self, table: Table) -> int:
        """How many examples a table holds."""

    @abstractmethod
    def _gather(self, table: Table, chosen: Ids) -> Rows:
        """The chosen examples of a table, as rows."""


def _concatenated(parts: list[Rows]) -> Rows:
    labels = [part.pair_label for part in parts if part.pair_label is not None]
    return Rows(
        input_ids=np.concatenate([part.input_ids for part in parts]),
        token_type_ids=np.concatenate([part.token_type_ids for part in parts]),
        attention_mask=np.concatenate([part.attention_mask for part in parts]),
        special_tokens_mask=np.concatenate([part.special_tokens_mask for part in parts]),
        pair_label=np.concatenate(labels) if labels else None,
    )
