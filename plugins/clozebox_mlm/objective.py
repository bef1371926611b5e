"""Hide some tokens; predict them from both sides."""

from torch import Tensor

from clozebox.model import TokenHead
from clozebox.pretraining import Batch, ModelContext, Objective, Terms, View, token_term


class MaskedLanguageModel(Objective):
    def __init__(self, context: ModelContext) -> None:
        super().__init__()
        self.head = TokenHead(context.shape, context.token_table)

    def view(self, batch: Batch) -> View:
        return batch.masked

    def forward(self, hidden: Tensor, view: View) -> Terms:
        return {"mlm": token_term(self.head, hidden, view)}

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return batch.hide(chosen)
