"""Mutants whose answers are classes of their own, and are given away.

B sequences, T tokens, D hidden size, W window.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from tests.museum.exhibit import exhibit, twin
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

WINDOW = 3


@twin
class PlaceInTheWindow(Objective):
    """Windows of three tokens are shuffled; each token is asked for its place before."""

    classes = WINDOW

    def __init__(self, config: object, context: ModelContext) -> None:
        super().__init__()
        self.classifier = nn.Linear(context.shape.hidden_size, WINDOW)

    def order(self, batch: Batch) -> Tensor:
        """(B, T): by what the tokens of a window are put in order."""
        return batch.uniform("order of a window")

    def view(self, batch: Batch) -> View:
        place = torch.arange(batch.input_ids.shape[1], device=batch.input_ids.device)  # (T,)
        whole = (place >= 1) & (place < 1 + (len(place) - 1) // WINDOW * WINDOW)
        window = torch.where(whole, (place - 1) // WINDOW, -1)  # (T,)
        full = ~self._any_in(window, batch.special_tokens_mask) & whole  # (B, T)
        score = window * 2.0 + self.order(batch)  # (B, T): windows stay where they are
        score = torch.where(full, score, place * 2.0 / WINDOW)
        source = self._sorted_inside(score, window, full)  # (B, T)
        shown = batch.input_ids.gather(1, source)
        labels = ((source - 1) % WINDOW).where(full, IGNORE_INDEX)
        return self.altered(
            replace(batch.plain, input_ids=shown, labels=labels, max_targets=None), source
        )

    def altered(self, view: View, source: Tensor) -> View:
        return view

    def targets(self, batch: Batch) -> dict[str, Targets]:
        return labels_of(self, batch, classes=self.classes)

    def forward(self, hidden: Tensor, view: View) -> Terms:
        states, labels = labelled(hidden, view)
        return {self.name: class_term(self.classifier(states), labels)}

    @staticmethod
    def _any_in(window: Tensor, flags: Tensor) -> Tensor:
        """(B, T): whether any token of the window is flagged."""
        same = (window[:, None] == window[None, :]).long()  # (T, T)
        return (flags.long()[:, None, :] * same).sum(-1) > 0

    @staticmethod
    def _sorted_inside(score: Tensor, window: Tensor, full: Tensor) -> Tensor:
        """(B, T): where the token at each place comes from."""
        place = torch.arange(score.shape[1], device=score.device)
        first = (window * WINDOW + 1).clamp(min=0)  # (T,)
        same = window[:, None] == window[None, :]  # (T, T)
        less = score[:, None, :] < score[:, :, None]  # (B, T, T)
        rank = (less & same).sum(-1)  # (B, T): of a token in its window
        target = torch.where(full, first + rank, place)  # (B, T): where it goes
        return target.argsort(dim=1)


@exhibit("position")
class NothingIsShuffled(PlaceInTheWindow):
    """The permutation is left out: the place is that of the position."""

    def order(self, batch: Batch) -> Tensor:
        return torch.linspace(0, 0.9, batch.input_ids.shape[1]).expand_as(batch.uniform("x"))


@exhibit("position")
class OneOrderForAll(PlaceInTheWindow):
    """The permutation is drawn once, and then the same for every window."""

    def order(self, batch: Batch) -> Tensor:
        drawn = torch.tensor([0.5, 0.8, 0.2])
        return drawn[torch.arange(batch.input_ids.shape[1]) % WINDOW].expand_as(batch.uniform("x"))


@exhibit("given away")
class SegmentsTell(PlaceInTheWindow):
    """The segment is that of the place before the shuffling: part of the answer is in the input."""

    def altered(self, view: View, source: Tensor) -> View:
        first = ((source - 1) % WINDOW == 0) & (view.labels != IGNORE_INDEX)
        return replace(view, token_type_ids=first.long())


@exhibit("both answers")
class AClassThatNeverOccurs(PlaceInTheWindow):
    """A class is counted that never occurs: the loss of chance is taken for too high."""

    classes = WINDOW + 1


@exhibit("labels")
class PaddingHasAClass(PlaceInTheWindow):
    """Padding gets an answer too."""

    def view(self, batch: Batch) -> View:
        view = super().view(batch)
        return replace(view, labels=view.labels.where(batch.attention_mask, 0))
