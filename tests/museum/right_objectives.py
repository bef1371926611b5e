"""Objectives that are right: what the mutants are made from.

B sequences, T tokens, D hidden size, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from tests.museum.exhibit import twin
from torch import Tensor, nn

from clozebox.model import head_flops
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    ModelContext,
    Objective,
    Targets,
    Term,
    Terms,
    TokenObjective,
    View,
    class_term,
    labelled,
    labelled_rows,
    only_targets,
)


@twin
class Masked(TokenObjective):
    """Masked language modelling."""

    needs_masking = True

    def view(self, batch: Batch) -> View:
        return batch.masked

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return batch.hide(chosen)


@twin
class MaskedPairs(Masked):
    """The same on sentence pairs, whose label it does not ask for."""

    example = "pair"


@twin
class Forward(TokenObjective):
    """Each token from those before it."""

    def view(self, batch: Batch) -> View:
        return batch.causal

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return only_targets(self.view(batch), chosen, step=+1)


@twin
class Backward(TokenObjective):
    """Each token from those behind it."""

    def view(self, batch: Batch) -> View:
        return batch.anticausal

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return only_targets(self.view(batch), chosen, step=-1)


@twin
class NextSentence(Objective):
    """Does the second sentence follow the first? From [CLS]."""

    example = "pair"

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__()
        self.classifier = nn.Linear(context.shape.hidden_size, self.classes)

    classes = 2

    def view(self, batch: Batch) -> View:
        return batch.plain

    def targets(self, batch: Batch) -> dict[str, Targets]:
        rows = batch.input_ids.new_full((), len(batch.input_ids))
        return {self.name: Targets(rows, classes=2, flops_each=head_flops(self))}

    def forward(self, hidden: Tensor, view: View) -> Terms:
        assert view.pair_label is not None
        logits = self.classifier(self.pooled(hidden, view)).float()  # (B, 2)
        return {self.name: self.term(logits, view.pair_label)}

    def pooled(self, hidden: Tensor, view: View) -> Tensor:
        return hidden[:, 0]

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return class_term(logits, labels)


@twin
class OwnLoss(Masked):
    """Masked language modelling, with a loss of its own."""

    def forward(self, hidden: Tensor, view: View) -> Terms:
        states, labels = labelled(hidden, view)  # (M, D), (M,)
        return {self.name: self.term(self.head(states).float(), labels)}

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return class_term(logits, labels)


@dataclass(frozen=True, eq=False)
class Written(View):
    """With what the generator pays for what it wrote."""

    generator: Term = field(kw_only=True)


@twin
class Replaced(Objective):
    """A generator of one linear layer on the embedding's sum, and a detector."""

    needs_masking = True

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__()
        self.embedding, self.encoder = context.embedding, context.build_encoder(context.shape)
        self.head = context.token_head()
        self.detector = nn.Linear(context.shape.hidden_size, 1)

    def generate(self, batch: Batch) -> Tensor:
        """(B, T, D), from what masking left."""
        view = batch.masked
        embedded = self.embedding(view.input_ids, view.token_type_ids)
        hidden: Tensor = self.encoder(embedded, view.attention)
        return hidden

    def numbers(self, batch: Batch) -> Tensor:
        """In [0, 1), (B, T)."""
        return batch.uniform("sample")

    def sample(self, logits: Tensor, numbers: Tensor) -> Tensor:
        """Of logits (M, V), a token for each, (M,)."""
        total = (logits.detach().softmax(-1) * 2**30).int().cumsum(-1, dtype=torch.int32)
        threshold = (numbers * total[:, -1].double()).int()[:, None]
        return torch.searchsorted(total, threshold, right=True).squeeze(1)

    def answers(self, ids: Tensor, batch: Batch) -> Tensor:
        """1 = replaced, (B, T)."""
        return (ids != batch.input_ids).long()

    def view(self, batch: Batch) -> Written:
        masked, rows = batch.masked, labelled_rows(batch.masked)  # (M,)
        logits = self.head(self.generate(batch).flatten(0, 1)[rows]).float()  # (M, V)
        hidden_ids = masked.labels.flatten()[rows]
        numbers = self.numbers(batch).flatten()[rows]
        original = batch.input_ids.flatten()  # (B*T,)
        allowed = logits.index_fill(
            1, torch.tensor(batch.vocabulary.special_ids, device=logits.device), -torch.inf
        )
        written = self.sample(allowed, numbers).where(hidden_ids != IGNORE_INDEX, original[rows])
        ids = original.index_copy(0, rows, written).view_as(batch.input_ids)
        labels = self.answers(ids, batch).where(batch.attention_mask, IGNORE_INDEX)
        return Written(
            ids,
            masked.token_type_ids,
            masked.attention,
            labels,
            generator=class_term(logits, hidden_ids),
        )

    def targets(self, batch: Batch) -> dict[str, Targets]:
        predicted = (batch.masked.labels != IGNORE_INDEX).sum()
        rows, length = batch.input_ids.shape
        return {
            self.name: Targets(batch.attention_mask.sum(), 2, head_flops(self.detector)),
            f"{self.name}_generator": Targets(
                predicted,
                len(self.head.bias),
                head_flops(self.head),
                flops_besides=rows * self.encoder.flops(length),
            ),
        }

    def forward(self, hidden: Tensor, view: View) -> Terms:
        assert isinstance(view, Written)
        states, labels = labelled(hidden, view)  # (M, D), (M,)
        logits = self.detector(states).squeeze(1).float()
        return {
            self.name: self.detection(logits, labels),
            f"{self.name}_generator": view.generator,
        }

    def detection(self, logits: Tensor, labels: Tensor) -> Term:
        real = labels != IGNORE_INDEX
        loss = F.binary_cross_entropy_with_logits(
            logits, labels.float(), weight=real.float(), reduction="sum"
        )
        hits = real & ((logits.detach() > 0) == (labels == 1))
        return Term(loss, {"accuracy": hits.sum()}, weight=50.0)
