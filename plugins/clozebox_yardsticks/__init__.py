"""Yardsticks: the held-out losses of an arm's own objectives, and one scale for all arms."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PositiveInt

from clozebox import EvaluationTaskConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.evaluation import EvaluationTask


class HeldOutConfig(EvaluationTaskConfig):
    """The arm's own losses on held-out documents; not comparable between objectives."""

    name: ClassVar[str] = "held_out"
    sequences: PositiveInt = 256

    def build(self) -> EvaluationTask:
        from clozebox_yardsticks.held_out import HeldOutLosses

        return HeldOutLosses(self.sequences)


class ClozeConfig(EvaluationTaskConfig):
    """The same blanks in the same held-out text, filled in by each arm as well as it can."""

    name: ClassVar[str] = "cloze"
    sequences: PositiveInt = 256
    rate: float = Field(default=0.15, gt=0, lt=1)

    def build(self) -> EvaluationTask:
        from clozebox_yardsticks.cloze import Cloze

        return Cloze(self.sequences, self.rate)


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [HeldOutConfig, ClozeConfig]
