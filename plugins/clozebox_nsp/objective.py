"""Tell from [CLS] whether the second sentence follows the first. Label 0 = it does, as in BERT."""

import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.model import Pooler
from clozebox.pretraining import Batch, ModelContext, Objective, Term, Terms, View


class NextSentencePrediction(Objective):
    def __init__(self, context: ModelContext) -> None:
        super().__init__()
        self.pooler = Pooler(context.shape)
        self.classifier = nn.Linear(context.shape.hidden_size, 2)

    def view(self, batch: Batch) -> View:
        # The masked view when there is one, so that MLM + NSP is one encoder pass, as in BERT.
        return batch.plain if batch.masking is None else batch.masked

    def targets(self, view: View) -> dict[str, Tensor]:
        return {"nsp": view.input_ids.new_full((), view.input_ids.shape[0])}

    def forward(self, hidden: Tensor, view: View) -> Terms:
        logits = self.classifier(self.pooler(hidden)).float()  # (B, 2)
        label = view.next_sentence_label  # (B,)
        if label is None:
            raise ValueError("next sentence prediction needs sentence pairs")
        loss = F.cross_entropy(logits, label, reduction="sum")
        return {"nsp": Term(loss, {"accuracy": (logits.detach().argmax(-1) == label).sum()})}
