"""Yardsticks that are the same for every arm."""

from clozebox.evaluation.held_out import EVALUATION_SEED, HeldOut
from clozebox.evaluation.losses import mean_losses, view_losses
from clozebox.evaluation.task import EvaluationTask

__all__ = ["EVALUATION_SEED", "EvaluationTask", "HeldOut", "mean_losses", "view_losses"]
