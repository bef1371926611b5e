"""Which words stand together more often than their frequencies alone would have it.

An n-gram of words is held as one 64-bit number: a polynomial in the codes of its words, as a word
is one in the codes of its pieces. Both are computed modulo 2^64, in numpy and on the device alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clozebox.data import TrainingText
from clozebox.errors import UserError

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

PIECE_BASE = 0x2545_F491_4F6C_DD1D
WORD_BASE = -0x61C8_8646_80B5_83EB
"""Odd, so that no power of them is lost modulo 2^64."""
MOST_TOKENS = 1 << 23
"""What is read of a longer text: n-grams that are frequent are frequent in a part of it."""


def piece_codes(size: int) -> Codes:
    """(V,): a random-looking number for each id (Steele et al., 2014, SplitMix64)."""
    mixed = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15)
    for shift, factor in ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed.view(np.int64)


def powers(base: int, count: int) -> Codes:
    """(count,): base^0, base^1 and so on, modulo 2^64."""
    return np.array([pow(base, n, 1 << 64) for n in range(count)], dtype=np.uint64).view(np.int64)


class Ngrams(NamedTuple):
    """The n-grams of one length that occur often enough: K of them."""

    keys: Codes  # (K,), sorted
    counts: NDArray[np.int64]  # (K,)
    places: NDArray[np.int64]  # (K,): where in the text one of each begins


def collocations(text: TrainingText, most: int, min_count: int, max_length: int) -> Codes:
    """The ``most`` n-grams of 2 to ``max_length`` words with the highest PMI, sorted by their keys.

    Only what is above zero, and occurs ``min_count`` times or more. Raises UserError when there is
    nothing: what remains would be masking by whole words under another name.
    """
    words, inside = _words(text)
    found = _frequent(words, inside, min_count, max_length)
    keys = np.concatenate([np.zeros(0, dtype=np.int64), *(ngrams.keys for ngrams in found[1:])])
    lengths = range(2, len(found) + 1)
    pmi = np.concatenate([np.zeros(0), *(_pmi(n, found, words) for n in lengths)])
    best = np.argsort(-pmi, kind="stable")[: min(most, np.count_nonzero(pmi > 0))]
    if not len(best):
        raise UserError(
            f"masking pmi: in {len(words)} words of training text, none stand together {min_count} "
            "times and more often than by chance; lower masking.min_count"
        )
    return np.sort(keys[best])


def _words(text: TrainingText) -> tuple[Codes, Flags]:
    """The code of every word (N,), and whether it continues a sentence (N,)."""
    codes, continues = piece_codes(text.vocabulary.size), np.zeros(text.vocabulary.size, np.bool_)
    continues[list(text.vocabulary.continuation_ids)] = True
    words, inside = [], []
    for block in text.blocks(MOST_TOKENS):
        begins = np.flatnonzero(~continues[block.ids] | block.begins)
        piece = np.arange(len(block.ids)) - np.repeat(
            begins, np.diff(begins, append=len(block.ids))
        )
        scaled = codes[block.ids] * powers(PIECE_BASE, int(piece.max()) + 1)[piece]
        words.append(np.add.reduceat(scaled, begins))
        inside.append(~block.begins[begins])
    return np.concatenate(words), np.concatenate(inside)


def _frequent(words: Codes, inside: Flags, min_count: int, max_length: int) -> list[Ngrams]:
    """The frequent n-grams of each length from 1 on, as far as there are any.

    An n-gram can only be frequent where both its parts of n - 1 words are (Agrawal & Srikant, 1994,
    Apriori): so few are left to count after the pairs.
    """
    found: list[Ngrams] = []
    key, candidates = words.copy(), np.arange(len(words))
    for _ in range(max_length):
        ngrams, candidates = _counted(key, candidates, min_count)
        if not len(ngrams.keys):
            break
        found.append(ngrams)
        frequent = np.zeros(len(words) + 1, dtype=np.bool_)
        frequent[candidates] = True
        followed = frequent[candidates + 1]
        candidates = candidates[followed]
        candidates = candidates[inside[candidates + 1]]
        key[:-1] = words[:-1] + WORD_BASE * key[1:]
    return found


def _counted(key: Codes, at: Codes, min_count: int) -> tuple[Ngrams, Codes]:
    """The keys that occur often enough at the places ``at``, and where they do."""
    here = key[at]
    keys, counts = np.unique(here, return_counts=True)
    often = counts >= min_count
    keys, counts = keys[often], counts[often]
    index = np.searchsorted(keys, here)
    index[index == len(keys)] = 0
    hit = keys[index] == here if len(keys) else np.zeros(len(at), dtype=np.bool_)
    places = np.empty(len(keys), dtype=np.int64)
    places[index[hit]] = at[hit]
    return Ngrams(keys, counts, places), at[hit]


def _pmi(length: int, found: list[Ngrams], words: Codes) -> NDArray[np.float64]:
    """log p(n-gram) less that of its likeliest division into parts (Levine et al., 2021, eq. 2)."""

    def log_share(begin: int, end: int) -> NDArray[np.float64]:
        ngrams, key = found[end - begin - 1], words[places + end - 1]
        for word in reversed(range(begin, end - 1)):
            key = words[places + word] + WORD_BASE * key
        share: NDArray[np.float64] = ngrams.counts[np.searchsorted(ngrams.keys, key)] / len(words)
        return np.log(share)

    places = found[length - 1].places
    divided = [np.zeros(len(places))]  # the likeliest division of the first n words, for every n
    for end in range(1, length + 1):
        parts = [divided[n] + log_share(n, end) for n in range(end) if (n, end) != (0, length)]
        divided.append(np.maximum.reduce(parts))
    return log_share(0, length) - divided[length]
