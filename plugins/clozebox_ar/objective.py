"""Predict each token from one side. Both directions share positions: a mask, not a reversal."""

from torch import Tensor

from clozebox.pretraining import Batch, TokenObjective, View, only_targets


class ForwardLanguageModel(TokenObjective):
    def view(self, batch: Batch) -> View:
        return batch.causal

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return only_targets(batch.causal, chosen, step=+1)


class BackwardLanguageModel(TokenObjective):
    def view(self, batch: Batch) -> View:
        return batch.anticausal

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return only_targets(batch.anticausal, chosen, step=-1)
