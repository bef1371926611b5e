"""What each position may look at, and the looking.

B sequences, T tokens, D hidden size, N heads, H = D / N, S tokens that are computed.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.model.dropout import dropout
from clozebox.model.unpadding import Group, Layout

AttentionKind = Literal["bidirectional", "causal", "anticausal", "prefix"]


class Attention:
    """What each position may look at; made once for a view, read by every layer.

    attention_mask (B, T) bool is True at real tokens, or None when all are real. Padding stands on
    the *right*, as everywhere here: so a causal position has only real tokens before it, needs no
    mask, and takes the fused kernels. Whether a given mask holds padding at all is never asked of a
    device: the answer would have to come back from there.

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
        self._looks_everywhere = kind == "bidirectional" and document_ids is None
        if attention_mask is None and not (self.is_causal or self._looks_everywhere):
            raise ValueError(f"{kind} attention to a part of a row needs an attention_mask")
        self._attention_mask = attention_mask
        self._prefix_length = prefix_length
        self._document_ids = document_ids

    @cached_property
    def mask(self) -> Tensor | None:
        """True = may look, (B, 1, 1 or T, T); None where the kernel needs no mask."""
        real, documents = self._attention_mask, self._document_ids
        if self.is_causal or real is None:
            return None
        if self._looks_everywhere:
            return _every_token(real)
        sees = _sees(self.kind, real, self._prefix_length)
        return _with_itself(sees if documents is None else sees & _same(documents))

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, p: float = 0.0) -> Tensor:
        """query, key, value (B, N, T, H) -> (B, N, T, H); ``p`` of the weights are dropped."""
        if query.device.type == "cpu":
            return self.in_products(query, key, value, p)
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=self.mask, dropout_p=p, is_causal=self.is_causal
        )

    def in_products(self, query: Tensor, key: Tensor, value: Tensor, p: float = 0.0) -> Tensor:
        """The same, one product after the other.

        On a CPU torch's kernel does no better: where there is dropout it falls back to this, and
        draws its numbers one by one; in bf16 it takes three times as long.
        """
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)  # (B, N, T, T)
        if (bias := self._bias(query.shape[-2])) is not None:
            scores = scores + bias.to(scores.dtype)
        return dropout(scores.softmax(-1), p) @ value  # (B, N, T, H)

    def _bias(self, length: int) -> Tensor | None:
        """0 where a position may look, minus infinity elsewhere."""
        if self.is_causal:
            return torch.full((length, length), -torch.inf).triu_(1)  # (T, T)
        return self._masked_bias

    @cached_property
    def _masked_bias(self) -> Tensor | None:
        """(B, 1, 1 or T, T); None where all may look at all."""
        if self.mask is None or self.mask.numpy().all():
            return None
        return torch.zeros(self.mask.shape).masked_fill_(~self.mask, -torch.inf)

    @cached_property
    def layout(self) -> Layout | None:
        """How to leave out padding. On a device, which would have to be asked for the lengths, and
        where it would not pay: None.
        """
        if self._attention_mask is None or self._attention_mask.device.type != "cpu":
            return None
        real = self._attention_mask.numpy()
        lengths = real.sum(1)  # (B,)
        if not np.array_equal(real, np.arange(real.shape[1]) < lengths[:, None]):
            return None  # not all of the padding stands on the right
        return Layout.of(lengths, real.shape[1])

    @cached_property
    def parts(self) -> tuple[Attention, ...]:
        """The attention of each group of the layout."""
        return () if self.layout is None else tuple(map(self._part, self.layout.groups))

    def _part(self, group: Group) -> Attention:
        def cut(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[group.rows, : group.width]

        prefix, needless = self._prefix_length, self.is_causal or self._looks_everywhere
        return Attention(
            None if group.is_full and needless else cut(self._attention_mask),
            self.kind,
            prefix_length=None if prefix is None else prefix[group.rows],
            document_ids=cut(self._document_ids),
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
        """hidden (B, T, D) or, in the layout of the attention, (S, D) -> the same."""
        projected = self.qkv(hidden)  # (B, T, 3D) or (S, 3D)
        mix = self._mixed if hidden.dim() == 3 else self._mixed_in_groups
        output: Tensor = self.output(mix(projected, attention))  # (B, T, D) or (S, D)
        return output

    def _mixed_in_groups(self, projected: Tensor, attention: Attention) -> Tensor:
        """(S, 3D) -> (S, D)."""
        assert attention.layout is not None
        pairs = zip(attention.layout.groups, attention.parts, strict=True)
        mixed = [self._mixed(group.cut(projected), part) for group, part in pairs]  # (G, width, D)
        return torch.cat([one.flatten(0, 1) for one in mixed])

    def _mixed(self, projected: Tensor, attention: Attention) -> Tensor:
        """(B, T, 3D) -> (B, T, D)."""
        rows, width, _ = projected.shape
        heads = projected.view(rows, width, 3, self.num_heads, -1)  # (B, T, 3, N, H)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, N, T, H)
        mixed = attention(query, key, value, self.dropout if self.training else 0.0)  # (B, N, T, H)
        return mixed.transpose(1, 2).flatten(2)  # (B, T, D)
