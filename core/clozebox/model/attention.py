"""What each position may look at, and the looking.

B sequences, T tokens, D hidden size, N heads, H = D / N.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AttentionKind = Literal["bidirectional", "causal", "anticausal", "prefix"]


class Attention:
    """What each position may look at; made once for a view, read by every layer.

    attention_mask (B, T) bool is True at real tokens, or None when all are real. Padding stands on
    the *right*, as everywhere here: so a causal position has only real tokens before it, needs no
    mask, and takes the fused kernels. Whether a given mask holds padding at all is never asked: the
    answer would have to come back from the device.

    ``prefix`` attention reads the first ``prefix_length`` (B,) tokens from both sides and the rest
    from the left (Dong et al., 2019, UniLM, section 2.3). Where a row packs several documents,
    ``document_ids`` (B, T) keep every kind inside its own document.

    Raises:
        ValueError: an unknown kind, or one without the tensors that it needs.
    """

    def __init__(
        self,
        attention_mask: Tensor | None,
        kind: AttentionKind = "bidirectional",
        *,
        prefix_length: Tensor | None = None,
        document_ids: Tensor | None = None,
    ) -> None:
        if kind not in get_args(AttentionKind):
            raise ValueError(f"attention kind {kind!r} is not one of {get_args(AttentionKind)}")
        if (kind == "prefix") != (prefix_length is not None):
            raise ValueError("prefix attention, and it alone, needs prefix_length")
        self.kind = kind
        self.is_causal = kind == "causal" and document_ids is None
        self.mask: Tensor | None = None
        """True = may look, (B, 1, 1 or T, T); None where the kernel needs no mask."""
        if self.is_causal:
            return
        whole = kind == "bidirectional" and document_ids is None
        if attention_mask is None:
            if not whole:
                raise ValueError(f"{kind} attention to a part of a row needs an attention_mask")
        elif whole:
            self.mask = _every_token(attention_mask)
        else:
            sees = _sees(kind, attention_mask, prefix_length)
            self.mask = _with_itself(sees if document_ids is None else sees & _same(document_ids))

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Tensor:
        """query, key, value (B, N, T, H) -> (B, N, T, H)."""
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=self.mask, dropout_p=dropout, is_causal=self.is_causal
        )

    def pattern(self, rows: int, length: int) -> Tensor:
        """Which position (row of the square) looks at which (column): (B, T, T) bool, to be shown.

        The kernels never read it.
        """
        if self.is_causal:
            return torch.ones(length, length, dtype=torch.bool).tril().expand(rows, -1, -1)
        if self.mask is None:
            return torch.ones(rows, length, length, dtype=torch.bool)
        return self.mask[:, 0].expand(rows, length, length)


def _every_token(attention_mask: Tensor) -> Tensor:
    """(B, T) -> (B, 1, 1, T): the same keys for every query."""
    # A softmax over nothing is NaN: a sequence of padding alone looks at its padding.
    nothing = ~attention_mask.any(dim=1, keepdim=True)  # (B, 1)
    return (attention_mask | nothing)[:, None, None, :]


def _sees(kind: AttentionKind, attention_mask: Tensor, prefix_length: Tensor | None) -> Tensor:
    """(B, T) -> (B, 1, T, T): query, key."""
    place = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    query, key = place[:, None], place[None, :]  # (T, 1), (1, T)
    real = attention_mask[:, None, None, :]  # (B, 1, 1, T)
    if prefix_length is not None:
        return ((key <= query) | (key < prefix_length[:, None, None, None])) & real
    if kind == "bidirectional":
        return real.expand(-1, -1, len(place), -1)
    return real & (key <= query if kind == "causal" else key >= query)


def _same(document_ids: Tensor) -> Tensor:
    """(B, T) -> (B, 1, T, T)."""
    return (document_ids[:, :, None] == document_ids[:, None, :])[:, None]


def _with_itself(sees: Tensor) -> Tensor:
    """The diagonal stays: padding may have nothing real to look at, and a softmax needs one."""
    return sees | torch.eye(sees.shape[-1], dtype=torch.bool, device=sees.device)


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
