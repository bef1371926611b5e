"""What a corrupted row says of its words: the channel of the 80/10/10 rule, exactly.

Of the L ordinary tokens of a row n are chosen, every set of n as likely as any other. A chosen one
becomes [MASK], or one of the K ordinary tokens, or stays. Who predicts the word at i sees the whole
row, and *not* which tokens were chosen: only a [MASK] tells. The answer is scored at chosen places
alone, so that the best one there (any other has a higher expected loss: Gibbs' inequality) is

    P(word at i | the row as shown, i was chosen).

Given m visible [MASK], h = n - m chosen tokens lie hidden among those that look ordinary, and which
they are is in doubt, all together: their number is known. With one variable x for "chosen",

    1[shown = word] + x (random / K + kept 1[shown = word])

is the weight of a place that shows an ordinary token, and the coefficient of x^h of the product
over all places, summed over the texts, is the probability of the row, up to a factor. For the word
at i, chosen, the factor of i is its x-term alone, and h - 1 of the other places were chosen.

Where fewer are corrupted than predicted, a predicted token may also be one that was left alone: its
factor is then 1[shown = word], the others have h, and it weighs what a token that was not corrupted
has as its chance to be predicted all the same, (predicted - n) / (L - n). Where more are corrupted
than predicted, those that are predicted are drawn from them blindly, and nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clozebox_synthetic.language import Indices, Language, Weights
from clozebox_synthetic.rows import NO_WORD, NOTHING


@dataclass(frozen=True, eq=False)
class Corruption:
    """How the words of B rows were corrupted."""

    replaced: float
    """The chance of a chosen token to become one certain ordinary token, itself for example."""
    kept: float
    hidden: Indices
    """(B,): how many of the chosen show an ordinary token; h above."""
    spared: Weights
    """(B,): the chance of a token that was not corrupted to be predicted all the same."""

    @classmethod
    def none(cls, rows: int) -> Corruption:
        """Every word that is seen is as it was, and so it is known."""
        return cls(0.0, 0.0, np.zeros(rows, dtype=np.int64), np.ones(rows))

    def evidence(self, language: Language, shown: Indices) -> Weights:
        """P(what is shown | state) of words (B, J, W) as polynomials in x: (B, J, W, S, C)."""
        emitted = emission_of(language, shown)
        evidence = np.zeros((*emitted.shape, 1 + self.hidden.max()))
        evidence[..., 0] = emitted
        if evidence.shape[-1] > 1:
            chosen = self.replaced + self.kept * emitted
            evidence[..., 1] = np.where(shown[..., None] == NOTHING, 0.0, chosen)
        return evidence

    def nats(self, states: Weights, language: Language, shown: Indices, word: Indices) -> Weights:
        """-log P(word | what is shown, it is predicted): (B, J, W).

        ``states`` (B, J, W, S, C) is the posterior of each state by everything but its own word.
        """
        whole = _coefficient(states, self.hidden)  # (B, J, W, S)
        others = _coefficient(states, self.hidden - 1)  # the place itself is one of the h
        put_there = others * self.replaced
        as_it_was = others * self.kept + whole * self.spared[:, None, None, None]
        this_word = put_there + as_it_was * (shown == word)[..., None]
        any_word = put_there + as_it_was * emission_of(language, shown)  # summed over words
        masked = (shown == NOTHING)[..., None]
        weight = (np.where(masked, whole, this_word) * emission_of(language, word)).sum(-1)
        total = np.where(masked, whole, any_word).sum(-1)  # (B, J, W)
        possible = total > 0  # elsewhere, no token can have been predicted
        log_total = np.log(total, where=possible, out=np.zeros_like(total))
        nats: Weights = log_total - np.log(weight, where=possible, out=np.zeros_like(total))
        return nats


def emission_of(language: Language, words: Indices) -> Weights:
    """P(word | state), (..., S); 1 where nothing is seen, 0 for what is no word."""
    emitted = language.emission.T[np.maximum(words, 0)]  # (..., S)
    emitted = np.where((words == NO_WORD)[..., None], 0.0, emitted)
    return np.where((words == NOTHING)[..., None], 1.0, emitted)


def _coefficient(states: Weights, power: Indices) -> Weights:
    """states (B, J, W, S, C), power (B,) -> the coefficient of that power, (B, J, W, S)."""
    index = np.maximum(power, 0)[:, None, None, None, None]
    found: Weights = np.take_along_axis(states, index, axis=-1)[..., 0]
    return np.where(power[:, None, None, None] < 0, 0.0, found)
