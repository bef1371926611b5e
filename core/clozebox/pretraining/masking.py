"""Which tokens are predicted, and what stands in their place.

A strategy only *chooses*; how many, and what becomes of them, is the core's and the same for all,
so that an ablation of the choice changes nothing else.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.data import Vocabulary
from clozebox.pretraining.corruption import Split, corrupted, labels_at

if TYPE_CHECKING:
    from clozebox.pretraining.batch import Batch


class Masked(NamedTuple):
    """What a batch becomes: each (B, T)."""

    input_ids: Tensor
    labels: Tensor


class MaskingStrategy(ABC):
    """Vectorised, on the training device, with static shapes: nothing here may synchronise."""

    def __init__(self, config: MaskingConfig, vocabulary: Vocabulary) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.split = Split.of(config, vocabulary)

    @abstractmethod
    def choose(self, batch: Batch, rate: float) -> Tensor:
        """Batch of (B, T) -> chosen (B, T) bool: ``rate`` of the tokens of each sequence.

        Never a special token and never padding. Randomness comes from ``batch.uniform`` (or its
        ``bits``): a function of the sequence, not of the batch, and not of ``batch.progress``.
        """

    def fate(self, batch: Batch) -> Tensor | None:
        """Numbers in [0, 1), (B, T), that decide what becomes of the tokens that are chosen.

        Tokens that share one share their fate, as those of a span do in SpanBERT; None, and each
        has a fate of its own.
        """
        return None

    @property
    def constant(self) -> bool:
        """Whether ``rate_at`` is the same all along, so that time changes nothing."""
        usual = type(self).rate_at is MaskingStrategy.rate_at
        return usual and self.config.final_rate is None

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
            return self._masked(batch, chosen, chosen)
        score = batch.uniform("part").masked_fill(~chosen, 2.0)  # above every number drawn
        part = choose_exactly(score, batch, min(predicted_rate, corrupted_rate)) & chosen
        if corrupted_rate > predicted_rate:
            return self._masked(batch, chosen, part)
        return self._masked(batch, part, chosen)

    def _masked(self, batch: Batch, hidden: Tensor, predicted: Tensor) -> Masked:
        return Masked(self._corrupted(batch, hidden), labels_at(batch.input_ids, predicted))

    def _corrupted(self, batch: Batch, hidden: Tensor) -> Tensor:
        bits, fate = batch.bits("corruption"), self.fate(batch)  # each (B, T)
        return corrupted(batch.input_ids, hidden, bits, self.split, fate)


def number_to_choose(length: int, rate: float) -> int:
    """BERT's count for ``length`` tokens, [CLS] and [SEP] included: rounded, and at least one."""
    return max(1, round(length * rate))


def numbers_to_choose(batch: Batch, rate: float) -> Tensor:
    """``number_to_choose`` of every sequence, (B, 1), on the device."""
    mask = batch.attention_mask
    table = _numbers_by_length(mask.shape[1], rate)  # (T + 1,)
    if mask.device.type == "cpu":
        return torch.from_numpy(table.take(mask.numpy().sum(1))[:, None])
    return torch.from_numpy(table).to(mask.device, non_blocking=True)[mask.sum(1, keepdim=True)]


@lru_cache(maxsize=64)
def _numbers_by_length(longest: int, rate: float) -> np.ndarray:
    return np.array([number_to_choose(length, rate) for length in range(longest + 1)])


def choose_exactly(score: Tensor, batch: Batch, rate: float) -> Tensor:
    """The lowest-scored ordinary tokens of each sequence, as many as BERT would take.

    score (B, T), floats or ``batch.bits`` -> chosen (B, T) bool. Of equal scores the earlier
    position comes first; of a sequence with fewer ordinary tokens, all are chosen.
    """
    lowest = _lowest_on_host if score.device.type == "cpu" else _lowest
    return lowest(score, batch.special_tokens_mask, numbers_to_choose(batch, rate))


# What is done at every step exists twice: for a device, and in numpy for the host, where torch's
# small operations cost three times as much. A test holds both to the same bits.


def _lowest(score: Tensor, special: Tensor, number: Tensor) -> Tensor:
    """score, special (B, T), number (B, 1) -> chosen (B, T) bool."""
    score = score.double().masked_fill(special, torch.inf)  # exact also for 32 bits
    last = score.sort(dim=1).values.gather(1, number - 1)  # (B, 1)
    lower, equal = score < last, score == last
    room = number - lower.sum(1, keepdim=True)  # (B, 1)
    return (lower | (equal & (equal.cumsum(1) <= room))) & ~special


def _lowest_on_host(score: Tensor, special: Tensor, numbers: Tensor) -> Tensor:
    scores, excluded, number = score.numpy(), special.numpy(), numbers.numpy()
    scores = np.where(excluded, _highest(scores.dtype), scores)
    last = np.sort(scores, axis=1)[np.arange(len(scores))[:, None], number - 1]  # (B, 1)
    chosen = scores <= last
    if np.count_nonzero(chosen) > number.sum():  # ties, if only of excluded ones
        lower, equal = scores < last, (scores == last) & ~excluded
        room = number - lower.sum(1, keepdims=True)  # (B, 1)
        chosen = lower | (equal & (equal.cumsum(1) <= room))
    return torch.from_numpy(chosen & ~excluded)


@lru_cache
def _highest(kind: np.dtype[Any]) -> Any:
    return kind.type(np.inf if kind.kind == "f" else np.iinfo(kind).max)
