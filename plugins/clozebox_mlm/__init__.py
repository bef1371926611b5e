"""Masked language modelling (Devlin et al., 2019, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clozebox import ObjectiveConfig, TokenObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class MaskedLanguageModelConfig(TokenObjectiveConfig):
    """Hide some tokens; predict them from both sides."""

    name: ClassVar[str] = "mlm"
    needs_masking: ClassVar[bool] = True

    def build(self, context: ModelContext) -> Objective:
        from clozebox_mlm.objective import MaskedLanguageModel

        return MaskedLanguageModel(self, context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [MaskedLanguageModelConfig]
