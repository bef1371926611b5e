"""The auto-regressive baselines: read from one side only, predict the next token on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clozebox import ObjectiveConfig, TokenObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class ForwardConfig(TokenObjectiveConfig):
    """Read from the left; predict the next token (Radford et al., 2018, section 3.1)."""

    name: ClassVar[str] = "ar_forward"

    def build(self, context: ModelContext) -> Objective:
        from clozebox_ar.objective import ForwardLanguageModel

        return ForwardLanguageModel(self, context)


class BackwardConfig(TokenObjectiveConfig):
    """Read from the right; predict the token before (Peters et al., 2018, section 3.1)."""

    name: ClassVar[str] = "ar_backward"

    def build(self, context: ModelContext) -> Objective:
        from clozebox_ar.objective import BackwardLanguageModel

        return BackwardLanguageModel(self, context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [ForwardConfig, BackwardConfig]
