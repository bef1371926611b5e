"""The token hidden at i is read from the hidden state at i - 1."""

from dataclasses import replace

from torch import Tensor

from clozebox.pretraining import Batch, TokenObjective, View


class MaskedNextTokenPrediction(TokenObjective):
    def view(self, batch: Batch) -> View:
        return one_to_the_left(batch.masked)

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return one_to_the_left(batch.hide(chosen))


def one_to_the_left(view: View) -> View:
    # [CLS] stands first and is never hidden: there is no label at 0 to wrap around.
    return replace(view, labels=view.labels.roll(-1, 1))
