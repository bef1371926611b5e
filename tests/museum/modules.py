"""Objectives whose parts are wrong: parameters, heads, gradients, state.

B sequences, T tokens, D hidden size, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from tests.museum.exhibit import exhibit
from tests.museum.right_objectives import Masked, NextSentence, OwnLoss
from torch import Tensor, nn

from clozebox.components import TokenObjectiveConfig
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    ModelContext,
    Objective,
    Terms,
    TokenObjective,
    View,
    class_term,
    labelled,
)


@exhibit("settings", "academic-budget-bert, generate_training_commands.py", 8)
class SmoothingIsNeverRead(TokenObjectiveConfig):
    """A setting without a reader: two arms that differ in it are the same run."""

    name = "smoothing_is_never_read"
    label_smoothing: float = 0.1

    def build(self, context: ModelContext) -> Objective:
        return Masked(self, context)

    needs_masking = True


@exhibit("settings")
class TheHeadIsNotShared(TokenObjective):
    """``head`` names another objective's, and a head of its own is made all the same."""

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config.model_copy(update={"head": None}), context)

    def view(self, batch: Batch) -> View:
        return batch.causal


@exhibit("cut")
class NegativesFromTheBatch(NextSentence):
    """The mean of the batch is taken off, so that a sequence's logits hang on the others."""

    def pooled(self, hidden: Tensor, view: View) -> Tensor:
        return hidden[:, 0] - hidden[:, 0].mean(0)


@exhibit("gradients")
class Detached(OwnLoss):
    """The hidden states are detached: the head learns, and the encoder does not."""

    def forward(self, hidden: Tensor, view: View) -> Terms:
        return super().forward(hidden.detach(), view)


@exhibit("gradients")
class TheTableIsDetached(Masked):
    """Tied to the embedding's table, but not to its learning."""

    def forward(self, hidden: Tensor, view: View) -> Terms:
        states, labels = labelled(hidden, view)  # (M, D), (M,)
        states = self.head.norm(F.gelu(self.head.dense(states)))
        logits = F.linear(states, self.head.token_table.detach(), self.head.bias)  # (M, V)
        return {self.name: class_term(logits.float(), labels)}


@exhibit("gradients")
class NeverCalled(NextSentence):
    """A pooler that is built, saved and counted, and never asked."""

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        self.pooler = nn.Linear(context.shape.hidden_size, context.shape.hidden_size)


@exhibit("gradients")
class FreezesTheEmbedding(Masked):
    """``requires_grad_(False)`` on what all the arm's objectives share."""

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        context.embedding.requires_grad_(False)


@exhibit("bystanders")
class AnotherOnesHead(Masked):
    """Another objective's head is used without having been asked for, and trained along."""

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        for other in context.objectives.values():
            self.head = getattr(other, "head", self.head)


@exhibit("state")
class NotAParameter(NextSentence):
    """A tensor that is neither a parameter nor a buffer: it is not saved, and never moved."""

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        width = context.shape.hidden_size
        self.mixing = torch.randn(width, width, dtype=torch.float64)

    def pooled(self, hidden: Tensor, view: View) -> Tensor:
        return hidden[:, 0] @ self.mixing.to(hidden)


@exhibit("initial loss")
class OneClassTooMany(NextSentence):
    """Three outputs for two answers."""

    classes = 3


@exhibit("padding")
class MeanOfAllPositions(NextSentence):
    """Padding is averaged in: the same pair scores otherwise in a longer batch."""

    def pooled(self, hidden: Tensor, view: View) -> Tensor:
        return hidden.mean(1)


@exhibit("padding")
class FromTheLastColumn(NextSentence):
    """``hidden[:, -1]`` is padding in all but the longest sequences."""

    def pooled(self, hidden: Tensor, view: View) -> Tensor:
        return hidden[:, -1]


@exhibit("pure")
class DropoutInEvaluation(NextSentence):
    """``F.dropout`` without ``training=``: it is never off."""

    def pooled(self, hidden: Tensor, view: View) -> Tensor:
        return F.dropout(hidden[:, 0], 0.1)


@exhibit("pure")
class ARunningMean(NextSentence):
    """Each call moves a mean that the next one takes off."""

    mean: Tensor | float = 0.0

    def pooled(self, hidden: Tensor, view: View) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * hidden[:, 0].detach().mean(0)
        return hidden[:, 0] - self.mean


@exhibit("shared")
class EditsTheHiddenStates(NextSentence):
    """``relu_`` in place, on the hidden states that the pass's other objectives read too."""

    def pooled(self, hidden: Tensor, view: View) -> Tensor:
        return hidden.relu_()[:, 0]


@exhibit("reads")
class LooksBesideTheLabels(Masked):
    """A token head on each state and the one before, of which only the labelled were asked for."""

    def forward(self, hidden: Tensor, view: View) -> Terms:
        return super().forward((hidden + hidden.roll(1, 1)) / 2, view)


@exhibit("reads")
class ProjectsEverything(Masked):
    """The head is run on all positions before the labelled are taken: 0 times NaN is a gradient."""

    def forward(self, hidden: Tensor, view: View) -> Terms:
        logits, labels = labelled(self.head(hidden), view)  # (M, V), (M,)
        return {self.name: class_term(logits.float(), labels)}


@exhibit("cut")
class RemembersItsView(Masked):
    """The first batch's view is kept, and given for every other one."""

    kept: View | None = None

    def view(self, batch: Batch) -> View:
        if self.kept is None:
            self.kept = batch.masked
        return self.kept


@exhibit("shared")
class EditsASharedView(Masked):
    """The labels of [CLS]'s neighbour are dropped in place, and so for every other objective."""

    def view(self, batch: Batch) -> View:
        batch.masked.labels[:, 1] = IGNORE_INDEX
        return batch.masked
