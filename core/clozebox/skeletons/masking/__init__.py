"""Which tokens are predicted: so far any, with the same chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clozebox import MaskingConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.data import TrainingText
    from clozebox.pretraining import MaskingStrategy


class SkeletonMaskingConfig(MaskingConfig):
    """What ``[masking]`` may say; the rate, its schedule and the 80/10/10 are there already."""

    name: ClassVar[str] = "skeleton"

    def build(self, text: TrainingText) -> MaskingStrategy:
        # Here, so that listing plugins costs no torch.
        from .masking import SkeletonMasking

        return SkeletonMasking(self, text.vocabulary)


@hookimpl
def register_masking_strategies() -> list[type[MaskingConfig]]:
    return [SkeletonMaskingConfig]
