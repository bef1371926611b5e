"""How often which pair is cut from a document: the prior of a label, given the lengths alone.

It follows ``clozebox.data.pairs`` step by step, in sentences instead of tokens. That is exact where
a row has room for just one document of J sentences of W words: a chunk that aims at t tokens then
takes ceil(t / W) sentences, a random second part fills it up to the same number, and nothing is
ever cut off. What is cut where never depends on the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from clozebox_synthetic.language import Weights

PairKind = Literal["pair", "swapped_pair"]


class Cut(NamedTuple):
    """One way to cut a pair from a document, and what is left."""

    probability: float
    label: int
    first: int  # sentences of the first part
    second: int
    taken: int  # sentences after which the next chunk begins


def expected_pairs(kind: PairKind, sentences: int, words: int, short_seq_prob: float) -> Weights:
    """How many pairs of each label and each two lengths a document gives, on average.

    -> (2, J + 1, J + 1): label, sentences of the first part, sentences of the second. Of a row that
    is drawn from an epoch, it is the probability of label and lengths, up to one factor.
    """
    cuts: Callable[[int, int, int], Iterator[Cut]] = {"pair": _next, "swapped_pair": _swapped}[kind]
    expected = np.zeros((2, sentences + 1, sentences + 1))
    for target, probability in enumerate(_targets(sentences, words, short_seq_prob)):
        visits = np.zeros(sentences + 1)  # the probability that a chunk begins at a sentence
        visits[0] = probability
        for start in range(sentences if probability else 0):
            for cut in cuts(start, target, sentences):
                arrives = visits[start] * cut.probability
                expected[cut.label, cut.first, cut.second] += arrives
                visits[start + cut.taken] += arrives
    expected[:, 0, :] = expected[:, :, 0] = 0  # a chunk of one sentence has no parts to exchange
    return expected


def _targets(sentences: int, words: int, short_seq_prob: float) -> Weights:
    """The law of the sentences that a document's chunks aim at: (J + 1,)."""
    room = sentences * words
    law = np.zeros(sentences + 1)
    short = -(-np.arange(2, room + 1) // words)  # any number of tokens from 2 to the room
    law += np.bincount(short, minlength=sentences + 1) * short_seq_prob / len(short)
    law[sentences] += 1 - short_seq_prob
    return law


def _next(start: int, target: int, sentences: int) -> Iterator[Cut]:
    """BERT's pairs: a second part from elsewhere half the time, or where there is no other."""
    chunk = min(target, sentences - start)
    firsts = range(1, chunk) if chunk > 1 else [1]
    for first in firsts:
        probability = 1 / len(firsts)
        if chunk > 1:
            probability /= 2
            yield Cut(probability, 0, first, chunk - first, chunk)
        for begin in range(sentences):
            second = min(max(target - first, 1), sentences - begin)
            yield Cut(probability / sentences, 1, first, second, first)


def _swapped(start: int, target: int, sentences: int) -> Iterator[Cut]:
    """ALBERT's pairs: both parts of a chunk, exchanged half the time."""
    chunk = min(target, sentences - start)
    firsts = range(1, chunk) if chunk > 1 else [1]
    for first in firsts:
        for label, (one, other) in enumerate([(first, chunk - first), (chunk - first, first)]):
            yield Cut(0.5 / len(firsts), label, one, other, chunk)
