"""What is learned: an objective looks at a batch, and sums a loss over its targets.

B sequences, T tokens, D hidden size, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from clozebox.components import ModelShape, TokenObjectiveConfig
from clozebox.data import Vocabulary
from clozebox.errors import UserError
from clozebox.model import Embedding, Encoder, TokenHead, head_flops
from clozebox.pretraining.batch import Batch
from clozebox.pretraining.cross_entropy import cross_entropy
from clozebox.pretraining.view import IGNORE_INDEX, View


@dataclass(frozen=True, eq=False)
class ModelContext:
    """What an objective is built for."""

    shape: ModelShape
    vocabulary: Vocabulary
    embedding: Embedding
    build_encoder: Callable[[ModelShape], Encoder]
    """Another encoder of the arm's kind, of any shape."""
    objectives: Mapping[str, nn.Module] = field(default_factory=dict)
    """Those of the arm that were built before."""

    @property
    def token_table(self) -> nn.Parameter:
        """(V, D), shared with the embedding."""
        return self.embedding.token_table

    def token_head(self, owner: str | None = None) -> TokenHead:
        """A head of its own, or the one of the objective ``owner``.

        Raises:
            UserError: no objective of that name was built before, or it has no token head.
        """
        if owner is None:
            return TokenHead(self.shape, self.token_table)
        found = self.objectives.get(owner)
        if not isinstance(found, TokenObjective):
            raise UserError(
                f"head = {owner!r}: no objective of that name that predicts tokens stands before "
                "this one in the arm's objectives"
            )
        return found.head


@dataclass(frozen=True, eq=False)
class Term:
    """A loss summed over its targets, and what else was summed over the same ones."""

    loss: Tensor  # ()
    metrics: dict[str, Tensor] = field(default_factory=dict)  # each ()
    weight: float = 1.0
    """Among the terms of one objective; the objective's own weight comes on top."""


Terms = dict[str, Term]
"""A term named ``mlm`` becomes ``train/mlm_loss``, and its metrics ``train/mlm_<metric>``."""


@dataclass(frozen=True, eq=False)
class Targets:
    """What a term sums over, and what that costs."""

    count: Tensor  # ()
    classes: int
    """How many answers there are."""
    flops_each: int
    """Forward floating-point operations for one target, after the encoder pass of the view."""
    flops_besides: int = 0
    """Forward floating-point operations for the batch besides, such as those of a generator."""
    chance: float | None = None
    """What a fresh model pays for a target, in nats; the logarithm of ``classes`` if not given."""


class Objective(nn.Module, ABC):
    """Owns its head, its loss and its metrics; knows nothing of the encoder or of other objectives.

    Losses are *sums*. The loop counts the targets of all micro-batches and ranks before it divides,
    so that cutting a batch differently never changes the gradient.
    """

    name: str
    weight: float
    share: float | None

    @abstractmethod
    def view(self, batch: Batch) -> View:
        """What the encoder is shown, and the labels: usually one of the views the batch offers."""

    @abstractmethod
    def forward(self, hidden: Tensor, view: View) -> Terms:
        """hidden (B, T, D) of the view -> one summed loss per term."""

    def reads(self, view: View) -> Tensor | None:
        """Where ``forward`` reads the hidden states: (R,), each position of the B*T flattened ones
        at most once; None for anywhere.

        They are real tokens. The encoder may leave all others out of its last layer: those are NaN
        then. Whoever changes
        ``forward`` to read elsewhere changes this too. On a GPU R must not depend on the data.
        """
        return None

    @abstractmethod
    def targets(self, batch: Batch) -> dict[str, Targets]:
        """How many targets each term has in a batch, and what they cost; asked before ``forward``.

        ``labels_of(self, batch, classes)`` says it for one term that sums over the labelled tokens.
        """

    def cloze(self, batch: Batch, chosen: Tensor) -> View | None:
        """The view in which the ``chosen`` tokens (B, T) are filled in; None if it fills in none.

        It makes the objective comparable with every other: the same blanks, filled in as it can.
        """
        return None


class TokenObjective(Objective):
    """Predicts the tokens that its view labels: cross-entropy through a ``TokenHead``."""

    def __init__(self, config: TokenObjectiveConfig, context: ModelContext) -> None:
        super().__init__()
        self.head = context.token_head(config.head)

    def forward(self, hidden: Tensor, view: View) -> Terms:
        """hidden (B, T, D) -> the cross-entropy at labelled positions."""
        return {self.name: token_term(self.head, hidden, view)}

    def reads(self, view: View) -> Tensor | None:
        """The labelled positions."""
        return labelled_rows(view)

    def targets(self, batch: Batch) -> dict[str, Targets]:
        """The labelled tokens, each projected onto the vocabulary."""
        return labels_of(self, batch, classes=len(self.head.bias))


def labels_of(objective: Objective, batch: Batch, classes: int) -> dict[str, Targets]:
    """The targets of an objective of one term that sums over the labelled tokens of its view.

    Each costs every matrix of the objective once.
    """
    labelled_tokens = (objective.view(batch).labels != IGNORE_INDEX).sum()
    return {objective.name: Targets(labelled_tokens, classes, head_flops(objective))}


def token_term(head: TokenHead, hidden: Tensor, view: View) -> Term:
    """Cross-entropy at the labelled positions: hidden (B, T, D) -> Term.

    Only they are projected onto the vocabulary, which is most of a small model's work.
    """
    states, labels = labelled(hidden, view)  # (M, D), (M,)
    return class_term(head(states), labels)


def class_term(logits: Tensor, labels: Tensor) -> Term:
    """Cross-entropy and hits of logits (M, K) against labels (M,); IGNORE_INDEX is left out."""
    summed = cross_entropy(logits, labels, IGNORE_INDEX)
    return Term(summed.loss, {"accuracy": summed.hits})


def labelled(hidden: Tensor, view: View) -> tuple[Tensor, Tensor]:
    """Hidden states (M, D) and labels (M,) of the labelled positions of (B, T, D).

    On a GPU the number of rows must not depend on the data, or the host would wait for the count:
    there M is the view's bound, and the rows beyond the labelled ones carry IGNORE_INDEX.
    """
    flat, labels = hidden.flatten(0, 1), view.labels.flatten()  # (B*T, D), (B*T,)
    rows = labelled_rows(view)  # (M,)
    return flat[rows], labels[rows]


def labelled_rows(view: View) -> Tensor:
    """The labelled positions, as indices (M,) into the B*T flattened ones."""
    wanted = view.labels.flatten() != IGNORE_INDEX
    if wanted.device.type == "cpu":
        return wanted.nonzero().squeeze(1)
    bound = len(wanted) if view.max_targets is None else view.max_targets * len(view.labels)
    return wanted.byte().argsort(descending=True, stable=True)[:bound]


def distinct(places: Sequence[Tensor], positions: int) -> Tensor:
    """What any of the ``places`` names of so many flattened positions, each once: (R,)."""
    named = torch.cat(list(places))
    read = named.new_zeros(positions, dtype=torch.bool).index_fill_(0, named, True)
    if read.device.type == "cpu":
        return read.nonzero().squeeze(1)
    # How many are named twice only the device knows; so many places suffice for all.
    return read.byte().argsort(descending=True, stable=True)[: len(named)]
