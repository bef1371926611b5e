"""What each position may look at, and the looking.

B sequences, T tokens, D hidden size, N heads, H = D / N.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AttentionKind = Literal["bidirectional", "causal", "anticausal"]


class Attention:
    """What each position may look at; made once for a view, read by every layer.

    attention_mask (B, T) bool is True at real tokens, or None when all are real. Padding stands on
    the *right*, as everywhere here: so a causal position has only real tokens before it, needs no
    mask, and takes the fused kernels. Whether a given mask holds padding at all is never asked: the
    answer would have to come back from the device.

    Raises:
        ValueError: an unknown kind, or an anticausal one without an attention_mask.
    """

    def __init__(
        self, attention_mask: Tensor | None, kind: AttentionKind = "bidirectional"
    ) -> None:
        if kind not in get_args(AttentionKind):
            raise ValueError(f"attention kind {kind!r} is not one of {get_args(AttentionKind)}")
        if kind == "anticausal" and attention_mask is None:
            raise ValueError("anticausal attention needs an attention_mask")
        self.kind = kind
        self.is_causal = kind == "causal"
        self.mask: Tensor | None = None
        """True = may look, (B, 1, 1 or T, T); None where the kernel needs no mask."""
        if attention_mask is not None and not self.is_causal:
            see = _see_every_token if kind == "bidirectional" else _see_itself_and_what_follows
            self.mask = see(attention_mask)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Tensor:
        """query, key, value (B, N, T, H) -> (B, N, T, H)."""
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=self.mask, dropout_p=dropout, is_causal=self.is_causal
        )


def _see_every_token(attention_mask: Tensor) -> Tensor:
    """(B, T) -> (B, 1, 1, T): the same keys for every query."""
    # A softmax over nothing is NaN: a sequence of padding alone looks at its padding.
    nothing = ~attention_mask.any(dim=1, keepdim=True)  # (B, 1)
    return (attention_mask | nothing)[:, None, None, :]


def _see_itself_and_what_follows(attention_mask: Tensor) -> Tensor:
    """(B, T) -> (B, 1, T, T). The diagonal stays: padding has nothing real after it."""
    place = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    follows = place[None, :] > place[:, None]  # (T, T)
    itself = place[None, :] == place[:, None]  # (T, T)
    return (follows & attention_mask[:, None, None, :]) | itself


class MultiHeadSelfAttention(nn.Module):
    """Scaled dot-product attention in N heads (Vaswani et al., 2017, 3.2.2)."""

    def __init__(self, hidden_size: int, num_heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden: Tensor, attention: Attention) -> Tensor:
        """hidden (B, T, D) -> (B, T, D)."""
        heads = self.qkv(hidden).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, N, H)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, N, T, H)
        mixed = attention(query, key, value, self.dropout if self.training else 0.0)  # (B, N, T, H)
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))  # (B, T, D)
        return output
