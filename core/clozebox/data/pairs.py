"""BERT's sentence pairs (``create_pretraining_data.py`` of google-research/bert).

A chunk of whole sentences is cut in two at a random sentence; half the time, or when the chunk is
one sentence, its second part is exchanged for one from another document, and the sentences so set
free start the next chunk. ALBERT's pairs are two parts of one chunk, half the time in the wrong
order. BERT wrote a few copies of the data to disk; here every epoch is drawn anew, as a pure
function of (seed, epoch, document).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from clozebox.data.rows import Examples, Flags, Ids, Rows
from clozebox.data.streams import uniform
from clozebox.data.token_store import TokenStore
from clozebox.errors import UserError

_SENTENCES_AT_ONCE = 1 << 20
"""Bounds the memory of drawing an epoch; the result does not depend on it."""


@dataclass(frozen=True)
class Pairs:
    """Pair i: tokens of the store for A and for B, and whether B follows A (0) or not (1)."""

    a_start: Ids
    a_length: Ids
    b_start: Ids
    b_length: Ids
    label: Ids

    def __getitem__(self, chosen: Ids | Flags) -> Pairs:
        return Pairs(*(getattr(self, field.name)[chosen] for field in fields(self)))


class PairExamples(Examples[Pairs]):
    """``[CLS] A [SEP] B [SEP]`` with label 0 when B follows A, 1 when it does not.

    Then it is from elsewhere, or, where pairs are ``swapped``, it is what comes before A.
    """

    def __init__(
        self,
        store: TokenStore,
        documents: Ids,
        seq_length: int,
        short_seq_prob: float,
        seed: int,
        swapped: bool = False,
    ) -> None:
        super().__init__(seed)
        self._vocabulary = store.vocabulary
        self._tokens = store.tokens
        self._columns = np.arange(seq_length)
        chunker = _SwappedChunker if swapped else _Chunker
        self._chunker = chunker(store, documents, seq_length - 3, short_seq_prob, seed)

    def _table(self, epoch: int) -> Pairs:
        return self._chunker.draw(epoch)

    def _size(self, table: Pairs) -> int:
        return len(table.a_start)

    def _gather(self, table: Pairs, chosen: Ids) -> Rows:
        pair = table[chosen]
        column = self._columns  # (T,)
        middle = pair.a_length[:, None] + 1  # (B, 1): the column of the first [SEP]
        end = middle + pair.b_length[:, None] + 1  # (B, 1): the column of the last
        in_b = column > middle  # (B, T)
        shift = np.where(in_b, pair.b_start[:, None] - middle - 1, pair.a_start[:, None] - 1)
        ids = self._tokens.take(shift + column, mode="clip").astype(np.int64)  # (B, T)
        attention_mask = column <= end
        special = ~attention_mask
        ids[special] = self._vocabulary.pad_id
        for position, token in ((middle, self._vocabulary.sep_id), (end, self._vocabulary.sep_id)):
            np.put_along_axis(ids, position, token, axis=1)
            np.put_along_axis(special, position, True, axis=1)
        ids[:, 0] = self._vocabulary.cls_id
        special[:, 0] = True
        return Rows(
            input_ids=ids,
            token_type_ids=(in_b & attention_mask).astype(np.int64),
            attention_mask=attention_mask,
            special_tokens_mask=special,
            pair_label=pair.label,
        )


class _Chunker:
    """Cuts documents into pairs, all documents of a group in step: one numpy pass per chunk."""

    def __init__(
        self, store: TokenStore, documents: Ids, room: int, short_seq_prob: float, seed: int
    ) -> None:
        documents = np.sort(documents)
        self._offsets = store.sentence_offsets
        self._first = store.document_offsets[documents]  # (documents,), in sentences
        self._end = store.document_offsets[documents + 1]
        self._room = room
        self._short_seq_prob = short_seq_prob
        self._seed = seed
        self._require(len(documents))
        if (self._end - self._first).max() < 2:
            raise UserError(
                "sentence pairs need a document of at least two sentences, for a true next "
                "sentence (every document here has one)"
            )

    def _require(self, documents: int) -> None:
        if documents < 2:
            raise UserError(
                f"sentence pairs need at least two documents, for a random next sentence comes "
                f"from another one (got {documents})"
            )

    def draw(self, epoch: int) -> Pairs:
        """Every pair of an epoch, document by document."""
        groups = [self._draw_group(epoch, group) for group in self._groups()]
        return Pairs(
            *(np.concatenate(column) for column in zip(*map(_columns, groups), strict=True))
        )

    def _groups(self) -> Iterator[Ids]:
        """Runs of documents whose random numbers are drawn in one call."""
        group = (self._end - self._first[0]) // _SENTENCES_AT_ONCE
        borders = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
        for begin, end in zip(borders[:-1], borders[1:], strict=True):
            yield np.arange(begin, end)

    def _draw_group(self, epoch: int, group: Ids) -> Pairs:
        # A sentence starts at most one chunk, so its index in the store is the index of the draws.
        base, last = int(self._first[group[0]]), int(self._end[group[-1]])
        draws = uniform(self._seed, f"pairs/{epoch}", base, last - base, 8).astype(np.float64)
        target = self._targets(draws[self._first[group] - base])

        document, start, steps, owners = group, self._first[group], [], []
        while len(document):
            chunk_end = self._reach(start, target, self._end[document])
            pairs, consumed = self._split(document, start, chunk_end, target, draws[start - base])
            steps.append(pairs)
            owners.append(document)
            left = np.flatnonzero(consumed < self._end[document])
            document, start, target = document[left], consumed[left], target[left]
        order = np.argsort(np.concatenate(owners), kind="stable")
        columns = zip(*map(_columns, steps), strict=True)
        return Pairs(*(np.concatenate(column) for column in columns))[order]

    def _targets(self, draws: NDArray[np.float64]) -> Ids:
        """Tokens a document's chunks aim at: the room, or now and then any number from 2 up."""
        short = draws[:, 5] < self._short_seq_prob
        return np.where(short, _integer(draws[:, 6], 2, self._room + 1), self._room)

    def _reach(self, start: Ids, tokens: Ids, document_end: Ids) -> Ids:
        """The first sentence border at least ``tokens`` behind ``start``, inside the document."""
        border = np.searchsorted(self._offsets, self._offsets[start] + tokens, side="left")
        return np.minimum(np.maximum(border, start + 1), document_end)

    def _split(
        self, document: Ids, start: Ids, end: Ids, target: Ids, draws: NDArray[np.float64]
    ) -> tuple[Pairs, Ids]:
        """One chunk of each document -> its pair, and the sentence that starts the next chunk."""
        sentences = end - start
        a_end = start + np.where(sentences > 1, _integer(draws[:, 0], 1, sentences), 1)
        is_random = (sentences == 1) | (draws[:, 1] < 0.5)

        other = _integer(draws[:, 2], 0, len(self._first) - 1)
        other += other >= document  # any document but this one
        elsewhere = _integer(draws[:, 3], self._first[other], self._end[other])
        wanted = target - (self._offsets[a_end] - self._offsets[start])
        b_first = np.where(is_random, elsewhere, a_end)
        b_end = np.where(is_random, self._reach(elsewhere, wanted, self._end[other]), end)

        a = (self._offsets[start], self._offsets[a_end])
        b = (self._offsets[b_first], self._offsets[b_end])
        pairs = _truncated(a, b, is_random.astype(np.int64), self._room, draws[:, 4])
        return pairs, np.where(is_random, a_end, end)


class _SwappedChunker(_Chunker):
    """Two parts of one chunk, exchanged half the time (Lan et al., 2020, ALBERT, section 3.1)."""

    def _require(self, documents: int) -> None:
        if documents < 1:
            raise UserError("sentence pairs need a document")

    def draw(self, epoch: int) -> Pairs:
        """Every pair of an epoch; a chunk of one sentence has no second part, and makes none.

        ALBERT's own code takes that part from another document, which a model can tell by topic.
        """
        pairs = super().draw(epoch)
        pairs = pairs[(pairs.a_length > 0) & (pairs.b_length > 0)]
        if not len(pairs.label):
            raise UserError(
                "swapped sentence pairs need two sentences in one row, and here every sentence "
                "fills a row alone; a larger train.seq_length usually helps"
            )
        return pairs

    def _split(
        self, document: Ids, start: Ids, end: Ids, target: Ids, draws: NDArray[np.float64]
    ) -> tuple[Pairs, Ids]:
        sentences = end - start
        middle = start + np.where(sentences > 1, _integer(draws[:, 0], 1, sentences), 1)
        borders = [self._offsets[sentence] for sentence in (start, middle, end)]
        swapped = draws[:, 1] < 0.5
        a = (np.where(swapped, borders[1], borders[0]), np.where(swapped, borders[2], borders[1]))
        b = (np.where(swapped, borders[0], borders[1]), np.where(swapped, borders[1], borders[2]))
        return _truncated(a, b, swapped.astype(np.int64), self._room, draws[:, 4]), end


def _truncated(
    a: tuple[Ids, Ids], b: tuple[Ids, Ids], label: Ids, room: int, draws: NDArray[np.float64]
) -> Pairs:
    """Shortens the longer part until both fit, at a random end of it.

    BERT tosses a coin for each token it takes away; here one coin decides for all of a part.
    """
    a_length, b_length = a[1] - a[0], b[1] - b[0]
    a_kept = np.minimum(a_length, np.maximum(room - b_length, room - room // 2))
    b_kept = np.minimum(b_length, np.maximum(room - a_length, room // 2))
    quarter = _integer(draws, 0, 4)  # two coins
    a_front = np.where(quarter % 2 == 0, a_length - a_kept, 0)
    b_front = np.where(quarter // 2 == 0, b_length - b_kept, 0)
    return Pairs(a[0] + a_front, a_kept, b[0] + b_front, b_kept, label)


def _integer(draws: NDArray[np.float64], low: Ids | int, high: Ids | int) -> Ids:
    """Whole numbers in [low, high) from numbers in [0, 1)."""
    return low + (draws * (np.asarray(high) - low)).astype(np.int64)


def _columns(pairs: Pairs) -> list[Ids]:
    return [getattr(pairs, field.name) for field in fields(pairs)]
