"""The losses an arm trains on, on documents it never saw, under masks that never change."""

from clozebox.evaluation import EvaluationTask, HeldOut, mean_losses
from clozebox.pretraining import PretrainingModel


class HeldOutLosses(EvaluationTask):
    def __init__(self, sequences: int) -> None:
        self.sequences = sequences

    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        batches = held_out.batches(self.sequences, own=True)
        return mean_losses(model, batches, held_out.numerics)
