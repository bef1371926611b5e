"""Every ordinary token is as likely as any other.

B sequences, T tokens.
"""

from __future__ import annotations

import math

from torch import Tensor

from clozebox.pretraining import (
    Batch,
    MaskingStrategy,
    choose_exactly,
    number_to_choose,
    numbers_to_choose,
)

RARE = 1e-9
"""How often a sequence may have more tokens drawn than the bound; it then loses some, anywhere."""


class TokenMasking(MaskingStrategy):
    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_exactly(batch.bits("choice"), batch, rate)


class BernoulliMasking(MaskingStrategy):
    """A coin for each token, as in Hugging Face's collator: on average BERT's number.

    Only the length bounds such a count, and a bound is what the head pays for on a GPU. So it is
    cut where fewer than one sequence in a billion reaches, to the lowest numbers drawn.
    """

    def choose(self, batch: Batch, rate: float) -> Tensor:
        ordinary = (~batch.special_tokens_mask).sum(1, keepdim=True)  # (B, 1)
        chance = numbers_to_choose(batch, rate) / ordinary.clamp(min=1)  # (B, 1)
        # 1 is above every number drawn, and as high as a chance can be.
        score = batch.uniform("choice").masked_fill(batch.special_tokens_mask, 1.0)  # (B, T)
        rank = score.argsort(dim=1, stable=True).argsort(dim=1)  # (B, T)
        return (score < chance.clamp(max=1.0)) & (rank < self.bound(score.shape[1], rate))

    def max_targets(self, length: int) -> int:
        return self.bound(length, max(self.config.rate, self.config.final_rate or 0))

    def bound(self, length: int, rate: float) -> int:
        """What so many heads exceed less often than RARE (Chernoff's bound; Hoeffding, 1963)."""
        mean = number_to_choose(length, rate)
        for heads in range(mean + 1, length):
            tails = length - heads
            nats = heads * math.log(heads / mean) + tails * math.log(tails / (length - mean))
            if nats > -math.log(RARE):
                return heads - 1
        return length
