"""The interface of a yardstick."""

from __future__ import annotations

from abc import ABC, abstractmethod

from clozebox.evaluation.held_out import HeldOut
from clozebox.pretraining import PretrainingModel


class EvaluationTask(ABC):
    """Measures a model; must not change it, nor depend on how often it is asked."""

    @abstractmethod
    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        """Metrics by name, which are logged as ``eval/<name>``; empty where none apply."""
