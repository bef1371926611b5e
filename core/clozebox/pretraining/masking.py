"""Which tokens are predicted, and what stands in their place.

A strategy only *chooses*; how many, and what becomes of them, is the core's and the same for all,
so that an ablation of the choice changes nothing else.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.data import Vocabulary
from clozebox.pretraining.corruption import Split, corrupted

if TYPE_CHECKING:
    from clozebox.pretraining.batch import Batch


class Masked(NamedTuple):
    """What a batch becomes: each (B, T)."""

    input_ids: Tensor
    predicted: Tensor  # bool


class MaskingStrategy(ABC):
    """Vectorised, on the training device, with static shapes: nothing here may synchronise."""

    def __init__(self, config: MaskingConfig, vocabulary: Vocabulary) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.split = Split.of(config, vocabulary)

    @abstractmethod
    def choose(self, batch: Batch, rate: float) -> Tensor:
        """Batch of (B, T) -> chosen (B, T) bool: ``rate`` of the tokens of each sequence.

        Never a special token and never padding. Randomness comes from ``batch.uniform``: a function
        of the sequence, not of the batch.
        """

    def fate(self, batch: Batch) -> Tensor:
        """The number in [0, 1), (B, T), that decides what becomes of a token if it is chosen.

        Tokens that share it share their fate, as those of a span do in SpanBERT.
        """
        return batch.uniform("fate")

    def max_targets(self, length: int) -> int:
        """The most tokens of one sequence of ``length`` that can be predicted, ever."""
        return number_to_choose(length, max(self.config.rate, self.config.final_rate or 0))

    def rate_at(self, progress: float) -> float:
        """The share of the tokens to predict when ``progress`` (0 to 1) of the budget is spent."""
        first, last = self.config.rate, self.config.final_rate
        if last is None:
            return first
        cosine = self.config.schedule == "cosine"
        way = (1 - math.cos(math.pi * progress)) / 2 if cosine else progress
        # Rounding must not lead beyond either: max_targets would be one too low.
        return min(max((1 - way) * first + way * last, min(first, last)), max(first, last))

    def apply(self, batch: Batch) -> Masked:
        """Choose, corrupt, and say what is to be predicted.

        Of two different rates the larger is chosen, and the smaller is a random part of that.
        """
        predicted_rate = self.rate_at(batch.progress)
        corrupted_rate = self.config.corruption_rate or predicted_rate
        chosen = self.choose(batch, max(predicted_rate, corrupted_rate))
        chosen &= ~batch.special_tokens_mask  # whatever a strategy says
        if predicted_rate == corrupted_rate:
            return Masked(self._corrupted(batch, chosen), chosen)
        score = batch.uniform("part").masked_fill(~chosen, 2.0)  # above every number drawn
        part = choose_exactly(score, batch, min(predicted_rate, corrupted_rate)) & chosen
        if corrupted_rate > predicted_rate:
            return Masked(self._corrupted(batch, chosen), part)
        return Masked(self._corrupted(batch, part), chosen)

    def _corrupted(self, batch: Batch, chosen: Tensor) -> Tensor:
        fate, replacement = self.fate(batch), batch.uniform("replacement")  # each (B, T)
        return corrupted(batch.input_ids, chosen, fate, replacement, self.split)


def number_to_choose(length: int, rate: float) -> int:
    """BERT's count for ``length`` tokens, [CLS] and [SEP] included: rounded, and at least one."""
    return max(1, round(length * rate))


def numbers_to_choose(batch: Batch, rate: float) -> Tensor:
    """``number_to_choose`` of every sequence, (B, 1), on the device."""
    numbers = _numbers_on_host if batch.attention_mask.device.type == "cpu" else _numbers
    return numbers(batch.attention_mask, rate)


def choose_exactly(score: Tensor, batch: Batch, rate: float) -> Tensor:
    """The lowest-scored ordinary tokens of each sequence, as many as BERT would take.

    score (B, T) -> chosen (B, T) bool. Of equal scores the earlier position comes first; of a
    sequence with fewer ordinary tokens, all are chosen.
    """
    lowest = _lowest_on_host if score.device.type == "cpu" else _lowest
    return lowest(score, batch.special_tokens_mask, numbers_to_choose(batch, rate))


# What is done at every step exists twice: for a device, and in numpy for the host, where torch's
# small operations cost three times as much. A test holds both to the same bits.


def _numbers(attention_mask: Tensor, rate: float) -> Tensor:
    length = attention_mask.sum(1, keepdim=True).double()  # (B, 1)
    return (length * rate).round().clamp(min=1).long()


def _numbers_on_host(attention_mask: Tensor, rate: float) -> Tensor:
    length = attention_mask.numpy().sum(1, keepdims=True)  # (B, 1)
    return torch.from_numpy(np.maximum(np.rint(length * rate), 1).astype(np.int64))


def _lowest(score: Tensor, special: Tensor, number: Tensor) -> Tensor:
    """score, special (B, T), number (B, 1) -> chosen (B, T) bool."""
    score = score.masked_fill(special, torch.inf)
    last = score.sort(dim=1).values.gather(1, number - 1)  # (B, 1)
    lower, equal = score < last, score == last
    room = number - lower.sum(1, keepdim=True)  # (B, 1)
    return (lower | (equal & (equal.cumsum(1) <= room))) & ~special


def _lowest_on_host(score: Tensor, special: Tensor, number: Tensor) -> Tensor:
    scores, excluded, numbers = score.numpy().copy(), special.numpy(), number.numpy()
    scores[excluded] = np.inf
    last = np.sort(scores, axis=1)[np.arange(len(scores))[:, None], numbers - 1]  # (B, 1)
    chosen = scores <= last
    if np.count_nonzero(chosen) > numbers.sum():
        lower, equal = scores < last, scores == last
        room = numbers - lower.sum(1, keepdims=True)  # (B, 1)
        chosen = lower | (equal & (equal.cumsum(1) <= room))
    return torch.from_numpy(chosen & ~excluded)
