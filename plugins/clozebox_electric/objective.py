"""Tell tokens from uniform noise by an energy. Label 1 = noise.

Of the n ordinary tokens of a sequence k are replaced by noise, drawn from q = 1/K over the K
ordinary ones. If the energy E of a token were -log p(token | the others), the logit of its being
noise would be E + log(k q / (n - k)); fitting that logit makes it so (noise-contrastive estimation,
Gutmann and Hyvarinen, 2010). The others are then partly noise, as in Electric, which draws it from
a model: harder to tell, and so it teaches more. Noise that happens to be the original is noise.
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    ModelContext,
    Objective,
    Targets,
    Terms,
    View,
    choose_exactly,
    class_term,
    labelled,
    labelled_rows,
    labels_of,
)
from clozebox_electric import ElectricConfig


class EnergyBasedCloze(Objective):
    ordinary: Tensor

    def __init__(self, config: ElectricConfig, context: ModelContext) -> None:
        super().__init__()
        self.rate = config.rate
        self.energy = nn.Linear(context.shape.hidden_size, 1)
        ordinary = torch.from_numpy(context.vocabulary.ordinary_ids)  # (K,)
        self.register_buffer("ordinary", ordinary, persistent=False)

    def view(self, batch: Batch) -> View:
        noise = choose_exactly(batch.uniform("noise"), batch, self.rate)  # (B, T)
        pick = (batch.uniform("noise token") * len(self.ordinary)).long()
        return replace(
            batch.plain,
            input_ids=torch.where(noise, self.ordinary[pick], batch.input_ids),
            labels=noise.long().masked_fill(batch.special_tokens_mask, IGNORE_INDEX),
            max_targets=None,
        )

    def targets(self, batch: Batch) -> dict[str, Targets]:
        [(name, targets)] = labels_of(self, batch, classes=2).items()
        # The prior is given away: what is left to pay is the entropy of a coin that falls so.
        prior = -(self.rate * math.log(self.rate) + (1 - self.rate) * math.log1p(-self.rate))
        return {name: replace(targets, chance=prior)}

    def forward(self, hidden: Tensor, view: View) -> Terms:
        states, labels = labelled(hidden, view)  # (M, D), (M,)
        noise, rest = ((view.labels == label).sum(1).clamp(min=1) for label in (1, 0))  # each (B,)
        prior = (noise / rest).log()[labelled_rows(view) // hidden.shape[1], None]  # (B,) -> (M, 1)
        # The energy is that above log K, at which all tokens are alike: log K cancels with q.
        logits = self.energy(states).float() + prior  # (M, 1)
        return {self.name: class_term(F.pad(logits, (1, 0)), labels)}  # (M, 2): a sigmoid's
