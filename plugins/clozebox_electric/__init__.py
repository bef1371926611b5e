"""An energy-based cloze model (Clark et al., 2020, Electric, section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from clozebox import ObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class ElectricConfig(ObjectiveConfig):
    """Tell tokens from uniform noise, by an energy that estimates -log p(token | the others).

    ``rate`` of the tokens are replaced by noise; no masking strategy takes part.
    """

    name: ClassVar[str] = "electric"

    rate: float = Field(default=0.15, gt=0, lt=1)

    def build(self, context: ModelContext) -> Objective:
        from clozebox_electric.objective import EnergyBasedCloze

        return EnergyBasedCloze(self, context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [ElectricConfig]
