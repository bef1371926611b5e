"""An encoder with a fresh head: what is fine-tuned.

B sequences, T tokens, D hidden size, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clozebox.components import ModelShape
from clozebox.evaluation.finetuning.encoding import Inputs
from clozebox.model import Attention, Embedding, Encoder, Pooler, initialise
from clozebox.pretraining import PretrainingModel


class Head(nn.Module):
    """Hidden states (B, T, D) and the mask of real tokens (B, T) -> logits."""

    def __init__(self, shape: ModelShape, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(shape.hidden_size, outputs)

    def reads(self, tokens: Tensor) -> Tensor | None:
        """Where it reads the hidden states of ``tokens`` (B, T): (R,), of the B*T; None for all."""
        return None


class SequenceHead(Head):
    """BERT's: pooler on [CLS], dropout, linear (Devlin et al., 2019, 4.1)."""

    def __init__(self, shape: ModelShape, outputs: int, dropout: float) -> None:
        super().__init__(shape, outputs, dropout)
        self.pooler = Pooler(shape)

    def reads(self, tokens: Tensor) -> Tensor:
        """[CLS] of each."""
        return self.pooler.reads(tokens)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), (B, T) -> (B, K)."""
        logits: Tensor = self.output(self.dropout(self.pooler(hidden)))
        return logits


class TagHead(Head):
    """A linear layer on every token."""

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), (B, T) -> (B, K, T)."""
        logits: Tensor = self.output(self.dropout(hidden)).transpose(1, 2)
        return logits


class SpanHead(Head):
    """How likely an answer begins and ends at a token (Devlin et al., 2019, 4.2)."""

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), (B, T) -> (B, 2, T); never at padding."""
        logits: Tensor = self.output(hidden).transpose(1, 2)  # (B, 2, T)
        return logits.masked_fill(~mask[:, None, :], torch.finfo(logits.dtype).min)


class FineTunedModel(nn.Module):
    """embedding -> encoder -> head; every token sees every other, whatever it was trained with."""

    def __init__(self, embedding: Embedding, encoder: Encoder, head: Head) -> None:
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder
        self.head = head

    def forward(self, inputs: Inputs) -> Tensor:
        """A batch of (B, T) -> logits, fp32."""
        embedded = self.embedding(inputs.input_ids, inputs.token_type_ids)  # (B, T, D)
        hidden = self.encode(embedded, inputs)  # (B, T, D)
        logits: Tensor = self.head(hidden, inputs.attention_mask).float()
        return logits

    def encode(self, embedded: Tensor, inputs: Inputs) -> Tensor:
        """(B, T, D) -> (B, T, D), right where the head reads it."""
        attention, read = Attention(inputs.attention_mask), self.head.reads(inputs.input_ids)
        if read is not None:
            return self.encoder.forward_at(embedded, attention, read)
        hidden: Tensor = self.encoder(embedded, attention)
        return hidden


def build(
    model: PretrainingModel, head: Head, seed: int, pretrained: bool, device: torch.device
) -> FineTunedModel:
    """A model to fine-tune that shares no memory with ``model``.

    Every weight is first drawn anew from ``seed`` and its name. Where ``pretrained``, those of the
    embedding and the encoder are then the model's, and those of the pooler too, if it has one.
    """
    settings = model.settings
    tuned = FineTunedModel(
        settings.embedding.build(model.shape), settings.encoder.build(model.shape), head
    )
    initialise(tuned, seed)
    if pretrained:
        tuned.embedding.load_state_dict(model.embedding.state_dict())
        tuned.encoder.load_state_dict(model.encoder.state_dict())
        pooler = pooler_of(model)
        if pooler is not None and isinstance(head, SequenceHead):
            head.pooler.load_state_dict(pooler.state_dict())
    return tuned.to(device)


def pooler_of(model: PretrainingModel) -> Pooler | None:
    """The pooler that an objective about whole sequences has learned."""
    for objective in model.each_objective():
        pooler = getattr(objective, "pooler", None)
        if isinstance(pooler, Pooler):
            return pooler
    return None
