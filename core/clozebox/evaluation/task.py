"""The interface of a yardstick."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clozebox.evaluation.held_out import HeldOut
from clozebox.pretraining import PretrainingModel

if TYPE_CHECKING:
    from clozebox.components import EvaluationTaskConfig


class EvaluationTask(ABC):
    """Measures a model; must not change it, nor depend on how often it is asked."""

    @abstractmethod
    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        """Metrics by name, which are logged as ``eval/<name>``; empty where none apply."""


@dataclass(frozen=True)
class Yardsticks:
    """All that an arm is measured with, built before anything is trained."""

    often: tuple[EvaluationTask, ...]
    at_the_end: tuple[EvaluationTask, ...]

    @classmethod
    def of(cls, configs: Iterable[EvaluationTaskConfig]) -> Yardsticks:
        """Raises UserError where one cannot be built."""
        built = [(config.when, config.build()) for config in configs]
        often = tuple(task for when, task in built if when != "end")
        return cls(often, tuple(task for when, task in built if when == "end"))

    def due(self, progress: float) -> tuple[EvaluationTask, ...]:
        """Those that are asked when the share ``progress`` of the budget is spent."""
        return (*self.often, *self.at_the_end) if progress == 1 else self.often
