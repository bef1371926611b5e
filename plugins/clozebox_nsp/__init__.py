"""Next sentence prediction (Devlin et al., 2019, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clozebox import ObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class NextSentenceConfig(ObjectiveConfig):
    """Does the second sentence follow the first, or come from another document?"""

    name: ClassVar[str] = "nsp"
    example: ClassVar[Literal["single", "pair"]] = "pair"

    def build(self, context: ModelContext) -> Objective:
        from clozebox_nsp.objective import NextSentencePrediction

        return NextSentencePrediction(context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [NextSentenceConfig]
