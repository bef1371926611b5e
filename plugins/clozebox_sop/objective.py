"""Tell from [CLS] whether two consecutive parts were exchanged. Label 1 = they were."""

from torch import Tensor, nn

from clozebox.model import Pooler, head_flops
from clozebox.pretraining import Batch, ModelContext, Objective, Targets, Terms, View, class_term


class SentenceOrderPrediction(Objective):
    def __init__(self, context: ModelContext) -> None:
        super().__init__()
        self.pooler = Pooler(context.shape)
        self.classifier = nn.Linear(context.shape.hidden_size, 2)

    def view(self, batch: Batch) -> View:
        # The masked view when there is one, so that MLM + SOP is one encoder pass, as in ALBERT.
        return batch.plain if batch.masking is None else batch.masked

    def targets(self, batch: Batch) -> dict[str, Targets]:
        sequences = batch.input_ids.new_full((), len(batch.input_ids))
        return {self.name: Targets(sequences, classes=2, flops_each=head_flops(self))}

    def reads(self, view: View) -> Tensor:
        return self.pooler.reads(view.input_ids)

    def forward(self, hidden: Tensor, view: View) -> Terms:
        if view.pair_label is None:
            raise ValueError("sentence order prediction needs sentence pairs")
        logits = self.classifier(self.pooler(hidden)).float()  # (B, 2)
        return {self.name: class_term(logits, view.pair_label)}
