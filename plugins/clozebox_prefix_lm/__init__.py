"""Prefix language modelling (Raffel et al., 2020, T5, section 3.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from clozebox import ObjectiveConfig, TokenObjectiveConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.pretraining import ModelContext, Objective


class PrefixConfig(TokenObjectiveConfig):
    """Read the beginning from both sides; predict the rest from the left, token by token.

    The beginning is a share of the sequence, drawn for each uniformly from ``low`` to ``high``.
    """

    name: ClassVar[str] = "prefix_lm"

    low: float = Field(default=0.25, ge=0, lt=1)
    high: float = Field(default=0.75, gt=0, lt=1)

    @model_validator(mode="after")
    def _in_order(self) -> PrefixConfig:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self

    def build(self, context: ModelContext) -> Objective:
        from clozebox_prefix_lm.objective import PrefixLanguageModel

        return PrefixLanguageModel(self, context)


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [PrefixConfig]
