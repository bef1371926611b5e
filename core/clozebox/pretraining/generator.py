"""A generator: a small masked language model whose guesses an objective shows to the encoder.

B sequences, T tokens, D hidden size, G the generator's, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clozebox.components import ModelShape
from clozebox.model import head_flops
from clozebox.pretraining.batch import Batch
from clozebox.pretraining.objective import (
    ModelContext,
    Targets,
    Term,
    class_term,
    labelled_rows,
)
from clozebox.pretraining.view import IGNORE_INDEX, View


class Generator(nn.Module):
    """Shares the embedding, and is as deep as the encoder (Clark et al., 2020, section 3.2)."""

    special: Tensor

    def __init__(self, size: float, context: ModelContext) -> None:
        super().__init__()
        shape = narrowed(context.shape, size)
        width, narrow = context.shape.hidden_size, shape.hidden_size
        self.embedding = context.embedding
        self.project = nn.Identity() if narrow == width else nn.Linear(width, narrow)
        self.encoder = context.build_encoder(shape)
        self.head = context.token_head()
        # From the generator's width straight to that of the tied table, as in ELECTRA.
        self.head.dense = nn.Linear(narrow, width)
        special = torch.tensor(context.vocabulary.special_ids)
        self.register_buffer("special", special, persistent=False)

    def encode(self, view: View, read: Tensor) -> Tensor:
        """view of (B, T) -> (R, G): the hidden states of the positions ``read`` (R,) of the B*T."""
        embedded = self.project(self.embedding(view.input_ids, view.token_type_ids))  # (B, T, G)
        hidden = self.encoder.forward_at(embedded, view.attention, read)  # (B, T, G)
        return hidden.flatten(0, 1)[read]

    def forward(self, batch: Batch) -> tuple[Tensor, Term]:
        """The batch's ids (B, T) with a sample at each hidden position, and the generator's loss.

        No gradient flows through a sample; a special token is never drawn.
        """
        masked = batch.masked
        rows = labelled_rows(masked)  # (M,)
        logits = self.head(self.encode(masked, rows)).float()  # (M, G) -> (M, V)
        labels, original = masked.labels.flatten()[rows], batch.input_ids.flatten()  # (M,), (B*T,)
        numbers = batch.uniform("sample").flatten()[rows]
        drawn = sample(logits.detach().index_fill(1, self.special, -torch.inf), numbers)  # (M,)
        drawn = drawn.where(labels != IGNORE_INDEX, original[rows])
        ids = original.index_copy(0, rows, drawn).view_as(batch.input_ids)  # (B, T)
        return ids, class_term(logits, labels)

    def targets(self, batch: Batch) -> Targets:
        """The hidden tokens; what the encoder pass costs comes on top of them."""
        sequences, length = batch.input_ids.shape
        one_pass = self.encoder.flops(length) + length * head_flops(self.project)
        return Targets(
            count=(batch.masked.labels != IGNORE_INDEX).sum(),
            classes=len(self.head.bias),
            flops_each=head_flops(self.head),
            flops_besides=sequences * one_pass,
        )


def narrowed(shape: ModelShape, size: float) -> ModelShape:
    """``shape`` at ``size`` of its width, with fewer heads rather than narrower ones."""
    heads = max(1, round(shape.num_attention_heads * size))
    # A whole number for every head, and an even one: rotary positions turn pairs.
    hidden = heads * 2 * max(1, round(shape.hidden_size * size / (2 * heads)))
    inner = max(1, shape.intermediate_size * hidden // shape.hidden_size)
    changed = {"hidden_size": hidden, "num_attention_heads": heads, "intermediate_size": inner}
    return shape.model_copy(update=changed)


def sample(logits: Tensor, numbers: Tensor) -> Tensor:
    """A token for each row of logits (M, V), by the number in [0, 1) that it is given (M,) -> (M,).

    Probabilities are added up as whole numbers: what a sum of floats comes to depends on the order,
    and so would the token.
    """
    total = (logits.softmax(-1) * 2**30).int().cumsum(-1, dtype=torch.int32)  # (M, V)
    threshold = (numbers * total[:, -1].double()).int()[:, None]  # (M, 1), below the last total
    tokens = torch.searchsorted(total, threshold, right=True).squeeze(1)  # (M,)
    # A NaN finds no token: the loop is to stop with its own words, not with an index error.
    return tokens.clamp(max=logits.shape[1] - 1)
