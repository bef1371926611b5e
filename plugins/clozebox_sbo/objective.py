"""Token i of a span s..e from the hidden states at s - 1 and e + 1, and its place i - s."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.model import head_flops
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    ModelContext,
    Objective,
    Targets,
    Terms,
    View,
    class_term,
    distinct,
    labelled_rows,
)
from clozebox_sbo import SpanBoundaryConfig


class SpanBoundary(Objective):
    def __init__(self, config: SpanBoundaryConfig, context: ModelContext) -> None:
        super().__init__()
        width = context.shape.hidden_size
        self.place = nn.Embedding(config.max_span_length, config.place_size)
        self.dense = nn.Linear(2 * width + config.place_size, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.head = context.token_head()  # the second layer, and the tied table

    def view(self, batch: Batch) -> View:
        return batch.masked

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return batch.hide(chosen)

    def targets(self, batch: Batch) -> dict[str, Targets]:
        predicted = (batch.masked.labels != IGNORE_INDEX).sum()
        flops = head_flops(self.dense) + head_flops(self.head)  # looking a place up is no product
        return {self.name: Targets(predicted, len(self.head.bias), flops)}

    def reads(self, view: View) -> Tensor:
        return distinct(around(view)[1:], view.labels.numel())

    def forward(self, hidden: Tensor, view: View) -> Terms:
        flat, (rows, left, right) = hidden.flatten(0, 1), around(view)  # (B*T, D), each (M,)
        place = (rows - left - 1).clamp(0, self.place.num_embeddings - 1)
        states = [flat[left], flat[right], self.place(place)]
        first = self.norm(F.gelu(self.dense(torch.cat(states, dim=-1))))  # (M, 2D + P) -> (M, D)
        logits = self.head(first).float()  # (M, V)
        return {self.name: class_term(logits, view.labels.flatten()[rows])}


def around(view: View) -> tuple[Tensor, Tensor, Tensor]:
    """The labelled positions, and those before and behind their spans: each (M,), of the B*T."""
    rows, length = labelled_rows(view), view.labels.shape[1]
    first = rows // length * length  # of the sequence that each stands in
    before, behind = (edge.flatten()[rows] for edge in edges(view.labels != IGNORE_INDEX))
    return rows, first + before, first + behind


def edges(labelled: Tensor) -> tuple[Tensor, Tensor]:
    """The last position before the run of labelled tokens around each, and the first behind it.

    (B, T) bool -> twice (B, T). [CLS] and [SEP] are never labelled: every run has both.
    """
    last = labelled.shape[1] - 1
    position = torch.arange(last + 1, device=labelled.device)  # (T,)
    before = torch.where(labelled, 0, position).cummax(1).values
    behind = torch.where(labelled, last, position).flip(1).cummin(1).values.flip(1)
    return before, behind
