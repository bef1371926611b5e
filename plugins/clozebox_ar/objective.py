"""Predict each token from one side. Both directions share positions: a mask, not a reversal."""

from torch import Tensor

from clozebox.model import TokenHead
from clozebox.pretraining import (
    Batch,
    ModelContext,
    Objective,
    Terms,
    View,
    only_targets,
    token_term,
)


class ForwardLanguageModel(Objective):
    def __init__(self, context: ModelContext) -> None:
        super().__init__()
        self.head = TokenHead(context.shape, context.token_table)

    def view(self, batch: Batch) -> View:
        return batch.causal

    def forward(self, hidden: Tensor, view: View) -> Terms:
        return {self.name: token_term(self.head, hidden, view)}

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return only_targets(batch.causal, chosen, step=+1)


class BackwardLanguageModel(ForwardLanguageModel):
    def view(self, batch: Batch) -> View:
        return batch.anticausal

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return only_targets(batch.anticausal, chosen, step=-1)
