"""Sentences as batches: framed, with others of similar length, padded on the right.

B sequences, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clozebox.data import Rows, Vocabulary

Ids = NDArray[np.int64]


def framed(sentences: Sequence[ArrayLike], vocabulary: Vocabulary) -> Rows:
    """``[CLS] sentence [SEP]`` for each list of ids, padded to the longest -> Rows of (B, T).

    A special token that stands in a sentence is special there too; only [UNK] is a word.
    """
    contents = [np.asarray(sentence, dtype=np.int64) for sentence in sentences]
    width = max(map(len, contents)) + 2
    ids = np.full((len(contents), width), vocabulary.pad_id)  # (B, T)
    ids[:, 0] = vocabulary.cls_id
    for row, content in zip(ids, contents, strict=True):
        row[1 : len(content) + 1] = content
        row[len(content) + 1] = vocabulary.sep_id
    lengths = np.array([len(content) + 2 for content in contents])  # (B,)
    return Rows(
        input_ids=ids,
        token_type_ids=np.zeros_like(ids),
        attention_mask=np.arange(width) < lengths[:, None],
        special_tokens_mask=special(ids, vocabulary),
    )


def special(ids: Ids, vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """True at every special token but [UNK], which stands for a word: same shape as ``ids``."""
    found: NDArray[np.bool_] = np.isin(ids, vocabulary.special_ids) & (ids != vocabulary.unk_id)
    return found


def groups(lengths: NDArray[np.int64], tokens: int) -> Iterator[NDArray[np.int64]]:
    """Which rows to batch together: those of similar length, at most ``tokens`` with padding.

    lengths (rows,) -> indices into it, each once; a row that is longer than that comes alone.
    """
    order = np.argsort(lengths, kind="stable")
    first = 0
    while first < len(order):
        room = order[first : first + max(tokens // lengths[order[first]], 1)]
        padded = lengths[room] * np.arange(1, len(room) + 1)  # the last is the longest
        count = max(int(np.count_nonzero(padded <= tokens)), 1)
        yield room[:count]
        first += count
