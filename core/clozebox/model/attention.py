"""What each position may look at, and how that is computed.

B sequences, T tokens, N heads, H numbers in each, S tokens that are computed.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from clozebox.model.dropout import dropout
from clozebox.model.kernels import Kernel, fused
from clozebox.model.unpadding import Group, Layout
from clozebox.model.varlen import WINDOWS, Extents, Packing

AttentionKind = Literal["bidirectional", "causal", "anticausal", "prefix"]


class Attention:
    """What each position may look at; made once for a view, read by every layer.

    attention_mask (B, T) bool is True at real tokens, or None when all are real. Padding stands on
    the *right*, as everywhere here: so a causal position has only real tokens before it, needs no
    mask, and takes the fused kernels. Whether a given mask holds padding at all is never asked of a
    device: the answer would have to come back from there.

    ``prefix`` attention reads the first ``prefix_length`` (B,) tokens from both sides and the rest
    from the left (Dong et al., 2019, UniLM, section 2.3). Where a row packs several documents,
    ``document_ids`` (B, T) keep every kind inside its own document. ``extents`` are what the host
    knows of both, if it does.

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
        extents: Extents | None = None,
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
        self._given_mask: Tensor | None = None
        # A plugin may have given its batch another mask.
        self._extents = extents if extents and extents.attention_mask is attention_mask else None

    @property
    def mask(self) -> Tensor | None:
        """True = may look, (B, 1, 1 or T, T); None where the kernel needs no mask.

        One that is set stands in the place of what the kind would allow.
        """
        return self._own_mask if self._given_mask is None else self._given_mask

    @mask.setter
    def mask(self, given: Tensor) -> None:
        self._given_mask, self.is_causal = given, False
        for name in MADE:
            vars(self).pop(name, None)

    @cached_property
    def _own_mask(self) -> Tensor | None:
        real, documents = self._attention_mask, self._document_ids
        if self.is_causal or real is None:
            return None
        if self._looks_everywhere:
            return None if self._is_full else _every_token(real)
        sees = _sees(self.kind, real, self._prefix_length)
        return _with_itself(sees if documents is None else sees & _same(documents))

    @property
    def _is_full(self) -> bool:
        """Whether a device's kernel, which is faster without one, needs no mask at all."""
        known = self._extents
        return known is not None and known.attention_mask.device.type != "cpu" and known.are_full

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        p: float = 0.0,
        kernel: Kernel | None = None,
    ) -> Tensor:
        """query, key, value (B, N, T, H) -> (B, N, T, H); ``p`` of the weights are dropped."""
        if query.device.type == "cpu" and kernel in (None, "products"):
            return self.in_products(query, key, value, p)
        return fused(query, key, value, self.mask, p, self.is_causal, kernel)

    def in_products(self, query: Tensor, key: Tensor, value: Tensor, p: float = 0.0) -> Tensor:
        """The same, one product after the other.

        On a CPU torch's kernel seldom does better: where there is dropout it falls back to this,
        and draws its numbers one by one (`tests/benchmarks/kernels.py`).
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
        if self._given_mask is not None or type(self) is not Attention:
            return None  # who knows what it looks at
        real = self._attention_mask.numpy()
        lengths = real.sum(1)  # (B,)
        if not np.array_equal(real, np.arange(real.shape[1]) < lengths[:, None]):
            return None  # not all of the padding stands on the right
        return Layout.of(lengths, real.shape[1])

    @cached_property
    def packing(self) -> Packing | None:
        """How to leave out padding on a GPU; None where the host does not know enough."""
        known = self._extents
        if self._given_mask is not None or type(self) is not Attention:
            return None  # who knows what it looks at
        told = self._document_ids is None or (known and known.document_ids is not None)
        if known is None or not told or self.kind not in WINDOWS:
            return None
        return Packing.of(known, known.attention_mask.device)

    @cached_property
    def parts(self) -> tuple[Attention, ...]:
        """The attention of each group of the layout."""
        return () if self.layout is None else tuple(map(self._part, self.layout.groups))

    def _part(self, group: Group) -> Attention:
        part = self.take(group.rows, group.width)
        if group.is_full and (self.is_causal or self._looks_everywhere):
            part._attention_mask = None
        return part

    def take(self, rows: Tensor, width: int | None = None) -> Attention:
        """The attention of some of the sequences, (rows,), cut to their first ``width`` tokens."""
        taken = copy(self)  # of the same class, which may be a plugin's
        for name in MADE:
            vars(taken).pop(name, None)
        taken._attention_mask = _cut(self._attention_mask, rows, width)
        taken._document_ids = _cut(self._document_ids, rows, width)
        taken._prefix_length = None if self._prefix_length is None else self._prefix_length[rows]
        taken._extents = None
        if self._given_mask is not None:
            taken._given_mask = self._given_mask[rows][..., :width]
        return taken

    def pattern(self, rows: int, length: int) -> Tensor:
        """Which position (row of the square) looks at which (column): (B, T, T) bool, to be shown.

        The kernels never read it.
        """
        if self.is_causal:
            return torch.ones(length, length, dtype=torch.bool).tril().expand(rows, -1, -1)
        if self.mask is None:
            return torch.ones(rows, length, length, dtype=torch.bool)
        return self.mask[:, 0].expand(rows, length, length)


MADE = ("_own_mask", "_masked_bias", "layout", "packing", "parts")
"""What an attention makes once, of what it was given."""


def _cut(tensor: Tensor | None, rows: Tensor, width: int | None) -> Tensor | None:
    return None if tensor is None else tensor[rows, :width]


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
