"""From contextual vectors to predictions.

B sequences, T tokens, D hidden size, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.components import ModelShape

LAYER_NORM_EPS = 1e-12
"""BERT's own, everywhere."""


class TokenHead(nn.Module):
    """Which token stands here: dense, gelu, LayerNorm, then the token table itself as the decoder.

    The table is the embedding's own parameter, so one matrix learns from both ends
    (Press and Wolf, 2017); only the bias is the head's (BERT's ``run_pretraining.py``).
    Hand it the predicted positions alone: the product with V columns is most of what a small model
    costs.
    """

    def __init__(
        self, shape: ModelShape, token_table: nn.Parameter, layer_norm_eps: float = LAYER_NORM_EPS
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.norm = nn.LayerNorm(shape.hidden_size, eps=layer_norm_eps)
        self.token_table = token_table  # (V, D)
        self.bias = nn.Parameter(torch.zeros(shape.vocab_size))

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden (M, D) -> logits (M, V)."""
        transformed = self.norm(F.gelu(self.dense(hidden)))  # (M, D)
        return F.linear(transformed, self.token_table, self.bias)


class Pooler(nn.Module):
    """One vector for a whole sequence: tanh of a dense layer on [CLS]."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.hidden_size, shape.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden (B, T, D) -> (B, D)."""
        return torch.tanh(self.dense(hidden[:, 0]))

    def reads(self, tokens: Tensor) -> Tensor:
        """Where it reads the hidden states of ``tokens`` (B, T): (B,), of the B*T flattened."""
        return torch.arange(0, tokens.numel(), tokens.shape[1], device=tokens.device)
