"""What is learned: an objective looks at a batch, and sums a loss over its targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.components import ModelShape
from clozebox.data import Vocabulary
from clozebox.model import TokenHead
from clozebox.pretraining.batch import IGNORE_INDEX, Batch, View


@dataclass(frozen=True, eq=False)
class ModelContext:
    """What an objective is built for."""

    shape: ModelShape
    vocabulary: Vocabulary
    token_table: nn.Parameter  # (V, D), shared with the embedding


@dataclass(frozen=True, eq=False)
class Term:
    """A loss summed over its targets, and what else was summed over the same ones."""

    loss: Tensor  # ()
    metrics: dict[str, Tensor] = field(default_factory=dict)  # each ()
    weight: float = 1.0
    """Among the terms of one objective; the objective's own weight comes on top."""


Terms = dict[str, Term]
"""A term named ``mlm`` becomes ``train/mlm_loss``, and its metrics ``train/mlm_<metric>``."""


class Objective(nn.Module, ABC):
    """Owns its head, its loss and its metrics; knows nothing of the encoder or of other objectives.

    Losses are *sums*. The loop counts the targets of all micro-batches and ranks before it divides,
    so that cutting a batch differently never changes the gradient.
    """

    name: str
    weight: float

    @abstractmethod
    def view(self, batch: Batch) -> View:
        """What the encoder is shown, and the labels: usually one of the views the batch offers."""

    @abstractmethod
    def forward(self, hidden: Tensor, view: View) -> Terms:
        """hidden (B, T, D) of the view -> one summed loss per term."""

    def targets(self, view: View) -> dict[str, Tensor]:
        """How many targets each term sums over, each (); by default, the labelled tokens."""
        return {self.name: (view.labels != IGNORE_INDEX).sum()}

    def cloze(self, batch: Batch, chosen: Tensor) -> View | None:
        """The view in which the ``chosen`` tokens (B, T) are filled in; None if it fills in none.

        It makes the objective comparable with every other: the same blanks, filled in as it can.
        """
        return None


def token_term(head: TokenHead, hidden: Tensor, view: View) -> Term:
    """Cross-entropy at the labelled positions: hidden (B, T, D) -> Term.

    Only they are projected onto the vocabulary, which is most of a small model's work.
    """
    states, labels = labelled(hidden, view)  # (M, D), (M,)
    logits = head(states).float()  # (M, V)
    loss = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum")
    return Term(loss, {"accuracy": (logits.detach().argmax(-1) == labels).sum()})


def labelled(hidden: Tensor, view: View) -> tuple[Tensor, Tensor]:
    """Hidden states (M, D) and labels (M,) of the labelled positions of (B, T, D).

    On a GPU the number of rows must not depend on the data, or the host would wait for the count:
    there M is the view's bound, and the rows beyond the labelled ones carry IGNORE_INDEX.
    """
    flat, labels = hidden.flatten(0, 1), view.labels.flatten()  # (B*T, D), (B*T,)
    wanted = labels != IGNORE_INDEX
    if hidden.is_cuda and view.max_targets is not None:
        bound = view.max_targets * hidden.shape[0]
        rows = wanted.byte().argsort(descending=True, stable=True)[:bound]  # (M,)
    else:
        rows = wanted.nonzero().squeeze(1)  # (M,)
    return flat[rows], labels[rows]
