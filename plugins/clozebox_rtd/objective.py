"""Tell the generator's tokens from those that stood there. Label 1 = replaced."""

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.model import head_flops
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    Generator,
    ModelContext,
    Objective,
    Targets,
    Term,
    Terms,
    View,
    class_term,
    labelled,
)
from clozebox_rtd import ReplacedTokenConfig


@dataclass(frozen=True, eq=False)
class ReplacedView(View):
    generator: Term = field(kw_only=True)  # what the generator learns from having made this view


class ReplacedTokenDetection(Objective):
    def __init__(self, config: ReplacedTokenConfig, context: ModelContext) -> None:
        super().__init__()
        width = context.shape.hidden_size
        self.discriminator_weight = config.discriminator_weight
        self.generator = Generator(config.generator_size, context)
        self.discriminator = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def view(self, batch: Batch) -> ReplacedView:
        ids, learned = self.generator(batch)  # (B, T)
        replaced = (ids != batch.input_ids).long()  # by chance the original: then it is original
        return ReplacedView(
            input_ids=ids,
            token_type_ids=batch.token_type_ids,
            attention=batch.plain.attention,
            labels=replaced.where(batch.attention_mask, IGNORE_INDEX),
            generator=learned,
        )

    def targets(self, batch: Batch) -> dict[str, Targets]:
        tokens, flops = batch.attention_mask.sum(), head_flops(self.discriminator)
        return {
            self.name: Targets(tokens, classes=2, flops_each=flops),
            f"{self.name}_generator": self.generator.targets(batch),
        }

    def forward(self, hidden: Tensor, view: View) -> Terms:
        if not isinstance(view, ReplacedView):
            raise TypeError("replaced token detection reads no view but its own")
        states, labels = labelled(hidden, view)  # (M, D), (M,)
        logits = F.pad(self.discriminator(states), (1, 0))  # (M, 1) -> (M, 2): 0 and the logit
        found = class_term(logits.float(), labels)  # so this is a sigmoid's cross-entropy
        metrics = {**found.metrics, "replaced": (labels == 1).sum()}
        return {
            self.name: Term(found.loss, metrics, self.discriminator_weight),
            f"{self.name}_generator": view.generator,
        }
