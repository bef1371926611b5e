"""Hide some tokens; predict them from both sides."""

from torch import Tensor

from clozebox.pretraining import Batch, TokenObjective, View


class MaskedLanguageModel(TokenObjective):
    def view(self, batch: Batch) -> View:
        return batch.masked

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return batch.hide(chosen)
