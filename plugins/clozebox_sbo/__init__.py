"""The span boundary objective (Joshi et al., 2020, SpanBERT, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from clozebox import ObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class SpanBoundaryConfig(ObjectiveConfig):
    """Predict the tokens of a hidden span from its two neighbours and their place in it."""

    name: ClassVar[str] = "sbo"
    needs_masking: ClassVar[bool] = True

    max_span_length: PositiveInt = 15
    """Places told apart; the tokens of a longer span share the last. SpanBERT leaves them out."""
    place_size: PositiveInt = 200
    """Width of the embedding of a place."""

    def build(self, context: ModelContext) -> Objective:
        from clozebox_sbo.objective import SpanBoundary

        return SpanBoundary(self, context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [SpanBoundaryConfig]
