"""Some tokens are replaced by random ones; tell which."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from clozebox import ObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class SkeletonObjectiveConfig(ObjectiveConfig):
    """``[objective.skeleton]``; ``weight`` and ``share`` are there already."""

    name: ClassVar[str] = "skeleton"
    rate: float = Field(default=0.15, gt=0, lt=1)
    """The share of the tokens that is replaced."""

    def build(self, context: ModelContext) -> Objective:
        # Here, so that listing plugins costs no torch.
        from .objective import SkeletonObjective

        return SkeletonObjective(self.rate, context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [SkeletonObjectiveConfig]
