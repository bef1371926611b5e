"""Masked next token prediction (Charpentier and Samuel, 2024, GPT-BERT, section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clozebox import ObjectiveConfig, TokenObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class MaskedNextTokenConfig(TokenObjectiveConfig):
    """Hide some tokens; predict each from both sides, at the position before it.

    So a head reads the same positions as that of a causal model, and can be shared with one.
    """

    name: ClassVar[str] = "mntp"
    needs_masking: ClassVar[bool] = True

    def build(self, context: ModelContext) -> Objective:
        from clozebox_mntp.objective import MaskedNextTokenPrediction

        return MaskedNextTokenPrediction(self, context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [MaskedNextTokenConfig]
