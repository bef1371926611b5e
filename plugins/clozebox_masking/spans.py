"""Runs of whole words, of random lengths (Joshi et al., 2020, SpanBERT; Lan et al., 2020, ALBERT).

A sequence is laid out in spans that follow one another without a gap, and spans are chosen with
equal chance until the number of tokens is reached; the last one is cut to it. So, unlike where
spans are drawn one after the other and those that collide thrown away, the lengths of the chosen
ones are those of the distribution.

B sequences, T tokens, L the longest span.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clozebox import MaskingConfig
from clozebox.data import Vocabulary
from clozebox.pretraining import Batch, MaskingStrategy, choose_exactly
from clozebox_masking.units import first_tokens, word_begins, word_starters

Chances = NDArray[np.floating]


def geometric(p: float, max_length: int) -> Chances:
    """(L,): the chance of each length from 1 on, p (1 - p)^(length - 1), made to sum to 1."""
    return _shares(p * (1 - p) ** np.arange(max_length))


def harmonic(max_length: int) -> Chances:
    """(L,): chances in the proportion of 1, 1/2, 1/3 and so on."""
    return _shares(1 / np.arange(1, max_length + 1))


def _shares(weights: Chances) -> Chances:
    shares: Chances = weights / weights.sum()
    return shares


class SpanMasking(MaskingStrategy):
    """``chances`` (L,) of the lengths; ``together``, the tokens of a span share their fate."""

    def __init__(
        self, config: MaskingConfig, vocabulary: Vocabulary, chances: Chances, together: bool
    ) -> None:
        super().__init__(config, vocabulary)
        self.starters = word_starters(vocabulary)
        self.together = together
        self.lengths = _upper_bounds(chances)
        # Of the span that the sequence begins in, the more words are left the longer it is: as
        # many spans reach so far as are that long or longer.
        self.remainders = _upper_bounds(_shares(chances[::-1].cumsum()[::-1]))

    def choose(self, batch: Batch, rate: float) -> Tensor:
        score = batch.uniform("choice").gather(1, self.span_begin(batch)).double()  # (B, T)
        # The last span loses its end in half of the sequences and its beginning in the others, or
        # the beginning of a sequence would be chosen more often than its end.
        place = torch.arange(score.shape[1], device=score.device)  # (T,)
        forward = batch.uniform("side")[:, :1] < 0.5  # (B, 1)
        order = torch.where(forward, place, place.flip(0))  # (B, T)
        return choose_exactly(score + order * _BELOW_EVERY_SCORE, batch, rate)

    def fate(self, batch: Batch) -> Tensor | None:
        return batch.uniform("fate").gather(1, self.span_begin(batch)) if self.together else None

    def span_begin(self, batch: Batch) -> Tensor:
        """(B, T): where the span of each token begins."""
        begins = word_begins(batch, self.starters)  # (B, T)
        word = begins.cumsum(dim=1) - 1  # (B, T)
        begins &= self._borders(batch).gather(1, word)
        begins |= batch.special_tokens_mask  # no span reaches across one
        begins[:, 1:] |= batch.special_tokens_mask[:, :-1]
        return first_tokens(begins)

    def _borders(self, batch: Batch) -> Tensor:
        """(B, T) bool: whether a span begins at the n-th word of the sequence."""
        drawn = batch.uniform("length").contiguous()  # (B, T): of each span in turn
        device, width = drawn.device, drawn.shape[1]
        length = torch.bucketize(drawn, self.lengths.to(device), right=True) + 1  # (B, T)
        reach = torch.bucketize(drawn[:, 0].contiguous(), self.remainders.to(device), right=True)
        length[:, 0] = reach + 1
        border = length.cumsum(dim=1).clamp(max=width)  # (B, T)
        begins = torch.zeros(len(border), width + 1, dtype=torch.bool, device=device)
        return begins.scatter(1, border, True)[:, :width]


_BELOW_EVERY_SCORE = 2.0**-40
"""Scores are multiples of 2^-24: this orders the tokens of one span, and nothing else."""


def _upper_bounds(chances: Chances) -> Tensor:
    """(L - 1,): a number in [0, 1) falls below n of them with the chance of length n + 1."""
    return torch.from_numpy(chances.cumsum()[:-1].astype(np.float32))
