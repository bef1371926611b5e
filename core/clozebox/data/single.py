"""Single sequences: whole sentences of one document, packed until a row is full."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clozebox.data.rows import Examples, Ids, Rows
from clozebox.data.token_store import TokenStore, ranges
from clozebox.errors import UserError


@dataclass(frozen=True)
class Spans:
    """Sequence i is the tokens ``start[i] .. start[i] + length[i]`` of the store."""

    start: Ids
    length: Ids


class SingleExamples(Examples[Spans]):
    """``[CLS] sentences [SEP]``: every token of every document exactly once in an epoch.

    As RoBERTa's DOC-SENTENCES (Liu et al., 2019, section 4.2): sentences are added until the next
    would not fit, a sequence never reaches into the next document, and only a sentence that is
    longer than a row is cut.
    """

    def __init__(self, store: TokenStore, documents: Ids, seq_length: int, seed: int) -> None:
        super().__init__(seed)
        self._vocabulary = store.vocabulary
        self._tokens = store.tokens
        self._columns = np.arange(seq_length)
        self._spans = pack(store, documents, seq_length - 2)
        if not len(self._spans.start):
            raise UserError("no document to learn from: the list of documents is empty")

    def _table(self, epoch: int) -> Spans:
        return self._spans

    def _size(self, table: Spans) -> int:
        return len(table.start)

    def _gather(self, table: Spans, chosen: Ids) -> Rows:
        start = table.start[chosen, None]  # (B, 1)
        end = table.length[chosen, None] + 1  # (B, 1): the column of [SEP]
        column = self._columns  # (T,)
        ids = self._tokens.take(start + (column - 1), mode="clip").astype(np.int64)  # (B, T)
        content = (column > 0) & (column < end)
        ids[~content] = self._vocabulary.pad_id
        ids[:, 0] = self._vocabulary.cls_id
        np.put_along_axis(ids, end, self._vocabulary.sep_id, axis=1)
        return Rows(
            input_ids=ids,
            token_type_ids=np.zeros_like(ids),
            attention_mask=column <= end,
            special_tokens_mask=~content,
        )


def pack(store: TokenStore, documents: Ids, room: int) -> Spans:
    """Greedy packing of the documents' sentences into sequences of at most ``room`` tokens."""
    sentences = ranges(store.document_offsets[documents], store.document_offsets[documents + 1])
    lengths = np.diff(store.sentence_offsets)[sentences]
    counts = store.document_offsets[documents + 1] - store.document_offsets[documents]

    # Pieces: sentences, the long ones cut. `offset` counts the chosen documents' tokens only.
    pieces_of = -(-lengths // room)
    nth = ranges(np.zeros_like(pieces_of), pieces_of)
    start = np.repeat(store.sentence_offsets[sentences], pieces_of) + nth * room
    length = np.minimum(np.repeat(lengths, pieces_of) - nth * room, room)
    offset = np.concatenate([[0], np.cumsum(length)])
    first_piece = np.concatenate([[0], np.cumsum(pieces_of)])[
        np.concatenate([[0], np.cumsum(counts)])
    ]  # (documents + 1,)

    # Where a sequence that starts at piece i would end; one of them is a document's end or full.
    document_end = np.repeat(first_piece[1:], np.diff(first_piece))
    fits = np.searchsorted(offset, offset[:-1] + room, side="right") - 1
    following = np.append(np.minimum(fits, document_end), len(length))

    starts = np.flatnonzero(_reached(first_piece[:-1], following)[:-1])
    return Spans(start[starts], offset[following[starts]] - offset[starts])


def _reached(sources: Ids, following: Ids) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which nodes the chains from ``sources`` visit, by pointer doubling: log2(longest) rounds."""
    reached = np.zeros(len(following), dtype=np.bool_)
    reached[sources] = True
    leap = following
    while True:
        landed = leap[np.flatnonzero(reached)]
        if reached[landed].all():
            return reached
        reached[landed] = True
        leap = leap[leap]
