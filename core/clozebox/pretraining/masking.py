"""Which tokens are predicted, and what stands in their place.

A strategy only *chooses*; the replacement is the core's and the same for all of them, so that an
ablation of the choice changes nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.data import Vocabulary

if TYPE_CHECKING:
    from clozebox.pretraining.batch import Batch


class MaskingStrategy(ABC):
    """Vectorised, on the training device, with static shapes: nothing here may synchronise."""

    def __init__(self, config: MaskingConfig, vocabulary: Vocabulary) -> None:
        self.rate = config.rate
        self.mask_share = config.mask_share
        self.random_share = config.random_share
        self.vocabulary = vocabulary
        self.ordinary_ids = torch.from_numpy(vocabulary.ordinary_ids)

    @abstractmethod
    def choose(self, batch: Batch) -> Tensor:
        """Batch of (B, T) -> chosen (B, T) bool, never a special token and never padding.

        Randomness comes from ``batch.uniform``: a function of the sequence, not of the batch.
        """

    def max_targets(self, length: int) -> int:
        """The most tokens that one sequence of ``length`` can have chosen."""
        return number_to_choose(length, self.rate)

    def corrupt(self, batch: Batch, chosen: Tensor) -> Tensor:
        """What the encoder is shown (B, T): of the chosen, 80 % [MASK], 10 % random, 10 % kept.

        The shares are settings (Devlin et al., 2019, section 3.1). A random token is uniform over
        the ordinary ones; BERT's own code can also insert special tokens, a slip not kept here.
        """
        fate = batch.uniform("fate")  # (B, T)
        masked = chosen & (fate < self.mask_share)
        randomised = chosen & ~masked & (fate < self.mask_share + self.random_share)
        ordinary = self.ordinary_ids.to(batch.input_ids.device, non_blocking=True)
        pick = (batch.uniform("replacement") * len(ordinary)).long()
        corrupted = torch.where(randomised, ordinary[pick], batch.input_ids)
        return corrupted.masked_fill(masked, self.vocabulary.mask_id)


def number_to_choose(length: int, rate: float) -> int:
    """BERT's count for ``length`` tokens, [CLS] and [SEP] included: rounded, and at least one."""
    return max(1, round(length * rate))


def choose_exactly(score: Tensor, batch: Batch, rate: float) -> Tensor:
    """The lowest-scored ordinary tokens of each sequence, as many as BERT would take.

    score (B, T) -> chosen (B, T) bool. Of a sequence with fewer ordinary tokens, all are chosen.
    """
    score = score.masked_fill(batch.special_tokens_mask, torch.inf)
    place = score.argsort(dim=1, stable=True).argsort(dim=1)  # (B, T): rank of each token
    length = batch.attention_mask.sum(1, keepdim=True).double()  # (B, 1)
    number = (length * rate).round().clamp(min=1)  # number_to_choose, on the device
    return (place < number) & ~batch.special_tokens_mask
