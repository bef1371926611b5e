"""Some tokens are replaced by random ones; tell which. B sequences, T tokens, M predicted."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    ModelContext,
    Objective,
    Targets,
    Terms,
    View,
    class_term,
    labelled,
    labels_of,
)


class SkeletonObjective(Objective):
    ordinary_ids: Tensor

    def __init__(self, rate: float, context: ModelContext) -> None:
        super().__init__()
        self.rate = rate
        self.classifier = nn.Linear(context.shape.hidden_size, 2)
        # A buffer goes to the device with the model.
        ordinary = torch.from_numpy(context.vocabulary.ordinary_ids)
        self.register_buffer("ordinary_ids", ordinary, persistent=False)

    def view(self, batch: Batch) -> View:
        """Your idea, part one: what the encoder is shown, and the label of each position."""
        ordinary = ~batch.special_tokens_mask  # (B, T)
        chosen = ordinary & (batch.uniform("which") < self.rate)  # (B, T)
        pick = (batch.uniform("by what") * len(self.ordinary_ids)).long()  # (B, T)
        shown = self.ordinary_ids[pick].where(chosen, batch.input_ids)
        labels = (shown != batch.input_ids).long().where(ordinary, IGNORE_INDEX)
        return replace(batch.plain, input_ids=shown, labels=labels, max_targets=None)

    def targets(self, batch: Batch) -> dict[str, Targets]:
        """How many targets there are, of how many classes, and what each costs."""
        return labels_of(self, batch, classes=2)

    def forward(self, hidden: Tensor, view: View) -> Terms:
        """Your idea, part two: hidden (B, T, D) -> the *sum* of the loss over the targets."""
        states, labels = labelled(hidden, view)  # (M, D), (M,)
        logits = self.classifier(states).float()  # (M, 2)
        return {self.name: class_term(logits, labels)}
