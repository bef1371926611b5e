"""One scale for every arm: the cross-entropy of the same hidden tokens in the same sentences.

A masked model sees both sides with all the blanks of a sequence hidden at once; a one-sided model
sees its side as it is. Each fills a blank in with all that its way of reading allows. The task is
Taylor's (1953), "Cloze procedure".
"""

from collections.abc import Iterator

from clozebox.evaluation import EvaluationTask, HeldOut, view_losses
from clozebox.pretraining import Objective, PretrainingModel, View, choose_exactly


class Cloze(EvaluationTask):
    def __init__(self, sequences: int, rate: float) -> None:
        self.sequences = sequences
        self.rate = rate

    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        for objective in model.speakers():  # the first that can fill in blanks speaks
            views = self._views(objective, held_out)
            means = view_losses(model, objective, views, held_out.numerics)
            if means:
                return {
                    f"cloze_{metric}": means[f"{objective.name}_{metric}"]
                    for metric in ("loss", "accuracy")
                }
        return {}

    def _views(self, objective: Objective, held_out: HeldOut) -> Iterator[View]:
        # Single sequences for all, also where an arm trains on pairs: the same instrument.
        for batch in held_out.batches(self.sequences):
            chosen = choose_exactly(batch.uniform("cloze"), batch, self.rate)  # (B, T)
            view = objective.cloze(batch, chosen)
            if view is not None:
                yield view
