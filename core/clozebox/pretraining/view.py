"""What the encoder is shown, and what is to be predicted from it.

B sequences, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from clozebox.model import Attention

IGNORE_INDEX = -100
"""The label of a position at which nothing is predicted (torch's own convention)."""


@dataclass(frozen=True, eq=False)
class View:
    """Encoder input and labels. Objectives that return the *same* view share one encoder pass."""

    input_ids: Tensor  # (B, T)
    token_type_ids: Tensor  # (B, T)
    attention: Attention
    labels: Tensor  # (B, T), IGNORE_INDEX where nothing is predicted
    pair_label: Tensor | None = None  # (B,), 0 = the second part follows the first
    max_targets: int | None = None
    """A bound on the labelled tokens of one sequence, known without looking at the device."""

    def part(self, rows: slice, attention: Attention) -> View:
        """Some of the sequences, and the attention of these."""
        return View(
            self.input_ids[rows],
            self.token_type_ids[rows],
            attention,
            self.labels[rows],
            None if self.pair_label is None else self.pair_label[rows],
            self.max_targets,
        )


def only_targets(view: View, chosen: Tensor, step: int) -> View:
    """A one-sided view that predicts only the ``chosen`` tokens (B, T), each from its neighbour."""
    return replace(view, labels=view.labels.where(chosen.roll(-step, 1), IGNORE_INDEX))
