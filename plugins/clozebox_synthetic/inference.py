"""What is known of each hidden state, given what is seen of the words: forward-backward, exactly.

B rows of J sentences of W words; Z topics, K kinds of sentence, S states, V words. The last axis,
C, holds the coefficients of a polynomial: that of x^c belongs to c of the words seen having been
chosen for corruption. Without corruption C = 1.

A sentence is tied to the others by its kind and the topic alone. So messages run within each
sentence, all sentences at once, and then along the sentences. Common factors that cancel in every
ratio are divided out on the way, so that nothing underflows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clozebox_synthetic.language import Indices, Language, Weights

Flags = NDArray[np.bool_]


class Arrangement(NamedTuple):
    """How the sentences of a row hang together."""

    order: Indices  # (B, J): in which order they stood in their documents
    begins: Flags  # (B, J): along that order, where an unrelated document begins

    @classmethod
    def joined(cls, rows: int, sentences: int) -> Arrangement:
        """One text, as it stands."""
        order = np.broadcast_to(np.arange(sentences), (rows, sentences))
        return cls(order, order == 0)

    @classmethod
    def apart(cls, first_part: Indices, sentences: int) -> Arrangement:
        """The first part, (B,) sentences, is from one document and the second from another."""
        order = cls.joined(len(first_part), sentences).order
        return cls(order, (order == 0) | (order == first_part[:, None]))

    @classmethod
    def swapped(cls, first_part: Indices, both: Indices, sentences: int) -> Arrangement:
        """The second part stood before the first; ``both`` (B,) counts the sentences of the two."""
        place = np.arange(sentences)
        rotated = (place + first_part[:, None]) % np.maximum(both, 1)[:, None]
        return cls(
            np.where(place < both[:, None], rotated, place),
            cls.joined(len(first_part), sentences).begins,
        )


@dataclass(frozen=True, eq=False)
class States:
    """What is known of each state from the words on its left and on its right, its own left out."""

    language: Language
    left: Weights  # (B, J, W, S, C): evidence on a state, for the states to its right
    right: Weights  # (B, J, W, S, C): the same, for those to its left

    @classmethod
    def of(cls, language: Language, left: Weights, right: Weights) -> States:
        """Evidence is P(what is seen of a word | its state), up to a factor for each word."""
        return cls(language, _scaled(left, 2), _scaled(right, 2))

    def likelihood(self, arrangement: Arrangement) -> Weights:
        """P(all that is seen on the right), (B, C), up to a factor that no arrangement changes."""
        sentences = _along(self._sentences(self.right), arrangement.order)
        first = self._behind(sentences, arrangement.begins)[:, 0]  # (B, Z, K, C)
        whole: Weights = _times(sentences[:, 0], first).mean((1, 2))
        return whole

    def posterior(self, arrangement: Arrangement) -> Weights:
        """P(state, all that is seen elsewhere), (B, J, W, S, C), up to a factor for each place.

        No arrangement changes the factors, so that those of several can be mixed.
        """
        behind_word = self._behind_word(self.right)  # (B, J, W, Z, S, C)
        kinds = self._kinds(arrangement)  # (B, J, Z, K, C)
        state = np.swapaxes(self.language.start, 0, 1) @ kinds  # (B, J, Z, S, C)
        step = np.swapaxes(self.language.transition, 1, 2)  # (Z, S, S): later, former
        found = []
        for word in range(self.left.shape[2]):
            found.append(_times(state, behind_word[:, :, word]).sum(2))
            state = step @ _times(state, self.left[:, :, word, None])
        return np.stack(found, axis=2)

    def _kinds(self, arrangement: Arrangement) -> Weights:
        """P(kind and topic of each sentence, what is seen in the others): (B, J, Z, K, C)."""
        before = _along(self._sentences(self.left), arrangement.order)
        after = _along(self._sentences(self.right), arrangement.order)
        ahead = self._ahead(before, arrangement.begins)
        behind = self._behind(after, arrangement.begins)
        back = np.argsort(arrangement.order, axis=1)
        return _along(_times(ahead, behind), back)

    def _behind_word(self, evidence: Weights) -> Weights:
        """P(the words after this one in its sentence | topic, its state): (B, J, W, Z, S, C)."""
        message = _one((*evidence.shape[:2], self.language.topics, *evidence.shape[3:]))
        found = [message]
        for word in range(evidence.shape[2] - 1, 0, -1):
            message = self.language.transition @ _times(message, evidence[:, :, word, None])
            found.append(message)
        return np.stack(found[::-1], axis=2)

    def _sentences(self, evidence: Weights) -> Weights:
        """P(what is seen of a sentence | topic, kind): (B, J, Z, K, C)."""
        first = _times(self._behind_word(evidence)[:, :, 0], evidence[:, :, 0, None])
        return _scaled(self.language.start @ first, 3)

    def _ahead(self, sentences: Weights, begins: Flags) -> Weights:
        """P(the sentences before this one, its topic and kind), along the order."""
        message = _one(sentences[:, 0].shape)
        found = [message]
        for place in range(1, sentences.shape[1]):
            known = _times(message, sentences[:, place - 1])
            onward = self.language.following.T @ known
            message = np.where(_wide(begins[:, place]), _mean(known), onward)
            found.append(message)
        return np.stack(found, axis=1)

    def _behind(self, sentences: Weights, begins: Flags) -> Weights:
        """P(the sentences after this one | its topic and kind), along the order."""
        message = _one(sentences[:, 0].shape)
        found = [message]
        for place in range(sentences.shape[1] - 1, 0, -1):
            known = _times(message, sentences[:, place])
            back = self.language.following @ known
            message = np.where(_wide(begins[:, place]), _mean(known), back)
            found.append(message)
        return np.stack(found[::-1], axis=1)


def nothing_seen(like: Weights) -> Weights:
    """The evidence of words of which nothing is seen, in the shape of another."""
    return _one(like.shape)


def _times(left: Weights, right: Weights) -> Weights:
    """The product of polynomials, (..., C) each, without the powers from C on."""
    count = left.shape[-1]
    product: Weights = left * right[..., :1]
    for power in range(1, count):
        product[..., power:] += left[..., :-power] * right[..., power, None]
    return product


def _one(shape: tuple[int, ...]) -> Weights:
    """The polynomial 1 everywhere: (..., C)."""
    one = np.zeros(shape)
    one[..., 0] = 1
    return one


def _scaled(weights: Weights, axes: int) -> Weights:
    """Divided by the largest over the last ``axes``."""
    largest: Weights = weights.max(axis=tuple(range(-axes, 0)), keepdims=True)
    return weights / largest


def _mean(message: Weights) -> Weights:
    """Over topics and kinds, which are uniform where a document begins: (B, Z, K, C), all alike."""
    return np.broadcast_to(message.mean((1, 2), keepdims=True), message.shape)


def _along(sentences: Weights, order: Indices) -> Weights:
    """(B, J, ...) in another order of the J."""
    return np.take_along_axis(sentences, order[:, :, None, None, None], axis=1)


def _wide(flags: Flags) -> Flags:
    """(B,) -> (B, 1, 1, 1)."""
    return flags[:, None, None, None]
