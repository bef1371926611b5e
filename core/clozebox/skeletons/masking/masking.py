"""Which tokens are predicted. B sequences, T tokens."""

from __future__ import annotations

from torch import Tensor

from clozebox.pretraining import Batch, MaskingStrategy, choose_exactly


class SkeletonMasking(MaskingStrategy):
    def choose(self, batch: Batch, rate: float) -> Tensor:
        """Batch of (B, T) -> chosen (B, T) bool: ``rate`` of each sequence."""
        score = batch.uniform("choice")  # (B, T)
        # Your idea goes here: the lower the score, the sooner a token is chosen. What it may know
        # is batch.input_ids, and what build() counts in the training text, such as text.counts.
        return choose_exactly(score, batch, rate)
