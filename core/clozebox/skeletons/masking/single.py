"""Which tokens are predicted: so far any, with the same chance. B sequences, T tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clozebox import MaskingConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from clozebox.data import TrainingText
    from clozebox.pretraining import Batch, MaskingStrategy


class SkeletonMaskingConfig(MaskingConfig):
    """What ``[masking]`` may say; the rate, its schedule and the 80/10/10 are there already."""

    name: ClassVar[str] = "skeleton"

    def build(self, text: TrainingText) -> MaskingStrategy:
        # Here, so that listing plugins costs no torch.
        from clozebox.pretraining import MaskingStrategy, choose_exactly

        class SkeletonMasking(MaskingStrategy):
            def choose(self, batch: Batch, rate: float) -> Tensor:
                """Batch of (B, T) -> chosen (B, T) bool: ``rate`` of each sequence."""
                score = batch.uniform("choice")  # (B, T)
                # Your idea goes here: the lower the score, the sooner a token is chosen. What it
                # may know is batch.input_ids, and counts of the training text: text.counts.
                return choose_exactly(score, batch, rate)

        return SkeletonMasking(self, text.vocabulary)


@hookimpl
def register_masking_strategies() -> list[type[MaskingConfig]]:
    return [SkeletonMaskingConfig]
