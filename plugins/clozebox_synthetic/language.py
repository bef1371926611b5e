"""The language: its probabilities, its words, and texts drawn from it.

Z topics, K kinds of sentence, S states, V words; J sentences of W words make a document.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clozebox.data import permutation, uniform
from clozebox_synthetic import HmmConfig

Weights = NDArray[np.float64]
Indices = NDArray[np.int64]

EVEN = 0.05
"""This share of every distribution is spread evenly, so that nothing is impossible and every word
is frequent enough to become a token."""
ZIPF = 1.5
"""The sharpness of the words' frequencies: a few words are frequent, many are rare."""
HOME = 8.0
"""How surely a word comes from one state, its home."""
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnrt" for vowel in "aeiou"]
_DOCUMENTS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Language:
    """Every probability; each last axis sums to 1.

    The topic and the first kind are uniform. So is every later kind, since ``following`` is doubly
    stochastic: a part of a document has the same law wherever in the document it begins.
    """

    following: Weights  # (K, K): the kind of the next sentence
    start: Weights  # (K, S): the state of its first word
    transition: Weights  # (Z, S, S): the state of the next word
    emission: Weights  # (S, V): the word
    sentences: int
    sentence_words: int

    @classmethod
    def of(cls, config: HmmConfig) -> Language:
        """The language that the settings describe: a pure function of them."""

        def drawn(name: str, rows: int, width: int) -> Weights:
            return _drawn(config.seed, name, rows, width, config.sharpness)

        topics, kinds, states = config.topics, config.kinds, config.states
        cycle = np.roll(np.eye(kinds), 1, axis=1)
        transition = drawn("transition", topics * states, states)  # (Z * S, S)
        return cls(
            following=config.order * cycle + (1 - config.order) / kinds,
            start=drawn("start", kinds, states),
            transition=transition.reshape(topics, states, states),
            emission=_emission(config),
            sentences=config.sentences,
            sentence_words=config.sentence_words,
        )

    @property
    def topics(self) -> int:
        return len(self.transition)

    @property
    def kinds(self) -> int:
        return len(self.following)

    def texts(self, seed: int, count: int) -> Indices:
        """``count`` documents as word numbers, (count, J, W): a pure function of the seed."""
        parts = [
            self._texts(seed, first, min(_DOCUMENTS_AT_ONCE, count - first))
            for first in range(0, count, _DOCUMENTS_AT_ONCE)
        ]
        return np.concatenate(parts)

    def _texts(self, seed: int, first: int, count: int) -> Indices:
        width = 1 + self.sentences * (1 + 2 * self.sentence_words)
        draws = iter(uniform(seed, "hmm/text", first, count, width).T.astype(np.float64))
        text = np.empty((count, self.sentences, self.sentence_words), dtype=np.int64)
        topic = (next(draws) * self.topics).astype(np.int64)  # (count,)
        for sentence in range(self.sentences):
            number = next(draws)
            if sentence == 0:
                kind = (number * self.kinds).astype(np.int64)
            else:
                kind = _pick(self.following[kind], number)
            state = _pick(self.start[kind], next(draws))
            text[:, sentence, 0] = _pick(self.emission[state], next(draws))
            for word in range(1, self.sentence_words):
                state = _pick(self.transition[topic, state], next(draws))
                text[:, sentence, word] = _pick(self.emission[state], next(draws))
        return text


def words_of(config: HmmConfig) -> list[str]:
    """The words, each of two syllables and none twice: (V,)."""
    pairs = permutation(config.seed, "hmm/words", 0, len(SYLLABLES) ** 2)[: config.words]
    return [SYLLABLES[pair // len(SYLLABLES)] + SYLLABLES[pair % len(SYLLABLES)] for pair in pairs]


def _emission(config: HmmConfig) -> Weights:
    """P(word | state), (S, V): a word has a frequency, and few states that it comes from."""
    states, words = config.states, config.words
    home = _drawn(config.seed, "home", words, states, HOME)  # (V, S)
    frequency = _drawn(config.seed, "frequency", 1, words, ZIPF)  # (1, V)
    weights = home.T * frequency
    emission: Weights = weights / weights.sum(1, keepdims=True)
    return emission


def _drawn(seed: int, name: str, rows: int, width: int, sharpness: float) -> Weights:
    """Random distributions, (rows, width).

    Exponential variates to the power of the sharpness: at 1 any distribution is as likely as any
    other, above it few of the choices are likely.
    """
    numbers = uniform(seed, f"hmm/{name}", 0, rows, width).astype(np.float64)
    weights = (-np.log1p(-numbers)) ** sharpness
    weights /= weights.sum(1, keepdims=True)
    return (1 - EVEN) * weights + EVEN / width


def _pick(laws: Weights, numbers: Weights) -> Indices:
    """laws (n, choices), numbers (n,) in [0, 1) -> one choice each, (n,)."""
    choice: Indices = (laws.cumsum(1) <= numbers[:, None]).sum(1)
    return choice.clip(max=laws.shape[1] - 1)  # rounding may leave the last sum below 1
