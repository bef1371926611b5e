"""Replaced token detection (Clark et al., 2020, ELECTRA, section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from clozebox import ObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class ReplacedTokenConfig(ObjectiveConfig):
    """Tell the tokens that a small generator wrote from those that stood there.

    ELECTRA's own masking splits 85 / 0 / 15: ``mask_share = 0.85``, ``random_share = 0``.
    """

    name: ClassVar[str] = "rtd"
    needs_masking: ClassVar[bool] = True

    generator_size: float = Field(default=0.25, gt=0, le=1)
    """The generator's width, as a share of the encoder's."""
    discriminator_weight: float = Field(default=50.0, gt=0)
    """What the detection weighs; the generator's own loss weighs 1."""

    def build(self, context: ModelContext) -> Objective:
        from clozebox_rtd.objective import ReplacedTokenDetection

        return ReplacedTokenDetection(self, context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [ReplacedTokenConfig]
