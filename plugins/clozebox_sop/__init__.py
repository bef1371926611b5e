"""Sentence order prediction (Lan et al., 2020, ALBERT, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clozebox import ObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class SentenceOrderConfig(ObjectiveConfig):
    """Do two consecutive parts of a text stand in their order, or were they exchanged?"""

    name: ClassVar[str] = "sop"
    example: ClassVar[Literal["single", "pair", "swapped_pair"]] = "swapped_pair"

    def build(self, context: ModelContext) -> Objective:
        from clozebox_sop.objective import SentenceOrderPrediction

        return SentenceOrderPrediction(context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [SentenceOrderConfig]
