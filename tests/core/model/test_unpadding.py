"""The fast paths of the encoder are the plain one: other products, the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clozebox import ModelShape
from clozebox.model import Attention, BertEncoder, initialise
from clozebox.model.dropout import Dropout, dropout
from clozebox.model.unpadding import GROUPS, Layout

SHAPE = ModelShape(
    vocab_size=50,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=64,
)
KINDS = ("bidirectional", "causal", "anticausal", "prefix", "documents")


def attention_of(kind: str, real: Tensor, generator: torch.Generator) -> Attention:
    rows, width = real.shape
    if kind == "prefix":
        prefix = (torch.rand(rows, generator=generator) * real.sum(1)).long()
        return Attention(real, "prefix", prefix_length=prefix)
    if kind == "documents":
        documents = torch.rand(rows, width, generator=generator).lt(0.2).cumsum(1)
        return Attention(real, "bidirectional", document_ids=documents)
    return Attention(real, kind)  # type: ignore[arg-type]


def lengths_of(rows: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, width + 1, rows)


def outcome(encoder: Any, embedded: Tensor, attention: Attention, real: Tensor) -> list[Tensor]:
    """Hidden states of real tokens, and every gradient of a function of them."""
    given = embedded.clone().requires_grad_()
    encoder.zero_grad()
    hidden = encoder(given, attention)[real]
    weights = torch.linspace(-1, 1, hidden.numel()).view_as(hidden)
    (weights * hidden).sum().backward()
    assert given.grad is not None
    return [hidden.detach(), given.grad[real], *(p.grad.clone() for p in encoder.parameters())]


@settings(max_examples=25)
@given(st.integers(1, 20), st.integers(2, 30), st.integers(0, 10**6), st.sampled_from(KINDS))
def test_leaving_padding_out_changes_nothing(rows: int, width: int, seed: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    real = torch.arange(width) < torch.from_numpy(lengths_of(rows, width, seed))[:, None]
    embedded = torch.randn(rows, width, SHAPE.hidden_size, generator=generator)
    encoder = BertEncoder(SHAPE, 0.0, 0.0, layer_norm="pre" if seed % 2 else "post")
    initialise(encoder, seed=1, std=0.3)
    attention = attention_of(kind, real, generator)
    fast = outcome(encoder, embedded, attention, real)
    encoder.leaves_out_unread = False
    for ours, plain in zip(fast, outcome(encoder, embedded, attention, real), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 10**6))
def test_every_real_token_is_laid_out_once(rows: int, width: int, seed: int) -> None:
    lengths = lengths_of(rows, width, seed)
    layout = Layout.of(lengths, width)
    if layout is None:
        return
    place = layout.place.numpy()
    assert len(np.unique(place)) == len(place) == layout.groups[-1].end
    real = np.flatnonzero(np.arange(width) < lengths[:, None])
    assert np.isin(real, place).all()
    padded = torch.arange(rows * width).view(rows, width)
    back = layout.put_back(layout.lay_out(padded))
    assert torch.equal(back.flatten()[place], padded.flatten()[place])
    assert len(layout.groups) <= GROUPS
    for group in layout.groups:
        assert torch.equal(group.cut(layout.lay_out(padded)), padded[group.rows, : group.width])
        assert group.is_full == bool((lengths[group.rows] == group.width).all())


def test_full_rows_are_left_alone() -> None:
    assert Layout.of(np.full(8, 16), 16) is None
    assert Attention(torch.ones(8, 16, dtype=torch.bool)).layout is None


def test_padding_on_the_left_is_not_taken_for_padding_on_the_right() -> None:
    real = torch.arange(16) >= torch.tensor([0, 12, 14, 15])[:, None]
    assert Attention(real).layout is None


@given(st.integers(0, 10**6), st.sampled_from(KINDS))
def test_the_products_are_those_of_torchs_kernel(seed: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    real = torch.arange(9) < torch.from_numpy(lengths_of(4, 9, seed))[:, None]
    attention = attention_of(kind, real, generator)
    query, key, value = torch.randn(3, 4, 2, 9, 8, generator=generator)
    found = attention.in_products(query, key, value)
    wanted = F.scaled_dot_product_attention(
        query, key, value, attn_mask=attention.mask, is_causal=attention.is_causal
    )
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_dropout_drops_its_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    ones = torch.ones(1000, 1001, requires_grad=True)
    dropped = dropout(ones, p)
    share = (dropped == 0).double().mean().item()
    deviation = (p * (1 - p) / ones.numel()) ** 0.5
    assert abs(share - p) < 5 * deviation + 2**-17
    if p < 1:
        kept = dropped[dropped != 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=1e-4, atol=0)
    dropped.sum().backward()
    assert torch.equal(ones.grad, dropped.detach())  # what was dropped has no gradient


def test_dropout_hangs_on_the_seed_alone_and_is_off_in_evaluation() -> None:
    module, given = Dropout(0.3), torch.randn(7, 5)
    first, other, again = ((torch.manual_seed(seed), module(given))[1] for seed in (1, 2, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(module.eval()(given), given)


def test_neighbours_are_dropped_independently() -> None:
    """Two numbers come of one draw."""
    torch.manual_seed(0)
    kept = dropout(torch.ones(2, 200_000), 0.5).view(2, -1, 2) != 0
    agree = (kept[..., 0] == kept[..., 1]).double().mean().item()
    assert abs(agree - 0.5) < 0.005


def test_what_looks_elsewhere_is_not_computed_in_groups() -> None:
    """A plugin's own class, or a mask that was set: the groups would know nothing of it."""

    class Own(Attention):
        def __call__(self, query: Tensor, *_: Any, **__: Any) -> Tensor:
            return torch.zeros_like(query)

    real = torch.arange(16) < torch.tensor([3, 5, 9, 16])[:, None]
    assert Attention(real).layout is not None
    assert Own(real).layout is None
    given = Attention(real, "causal")
    given.mask = torch.eye(16, dtype=torch.bool).expand(4, 1, 16, 16)
    assert given.layout is None
    value = torch.randn(4, 1, 16, 8)
    torch.testing.assert_close(given(value, value, value), value)
    assert torch.equal(given.take(torch.tensor([2, 0])).mask, given.mask[[2, 0]])


def test_a_part_looks_as_the_whole_does() -> None:
    generator = torch.Generator().manual_seed(3)
    real = torch.arange(9) < torch.from_numpy(lengths_of(6, 9, 1))[:, None]
    rows = torch.tensor([4, 0, 4])
    for kind in KINDS:
        whole = attention_of(kind, real, generator)
        seen = whole.pattern(6, 9)[rows]
        assert torch.equal(whole.take(rows).pattern(3, 9), seen), kind
