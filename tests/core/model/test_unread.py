"""What nobody reads is left out of the last layer: the rest stays as it was, gradients too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.model.test_unpadding import KINDS, SHAPE, attention_of, lengths_of
from torch import Tensor, nn

from clozebox.model import Attention, BertEncoder, initialise


def encoder_of(seed: int) -> BertEncoder:
    encoder = BertEncoder(SHAPE, 0.0, 0.0, layer_norm="pre" if seed % 2 else "post")
    initialise(encoder, seed=1, std=0.3)
    return encoder


def outcome(
    encoder: BertEncoder, embedded: Tensor, attention: Attention, read: Tensor
) -> list[Tensor]:
    """What is read, and every gradient of a function of it."""
    given = embedded.clone().requires_grad_()
    encoder.zero_grad()
    hidden = encoder.forward_at(given, attention, read).flatten(0, 1)[read]
    (torch.linspace(-1, 1, hidden.numel()).view_as(hidden) * hidden).sum().backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in encoder.parameters()]
    assert given.grad is not None
    return [hidden.detach(), given.grad, *(grad.clone() for grad in grads)]


@settings(max_examples=40)
@given(
    st.integers(1, 20),
    st.integers(2, 30),
    st.floats(0, 0.7),
    st.integers(0, 10**6),
    st.sampled_from(KINDS),
    st.booleans(),
)
def test_what_is_read_stays_the_same(
    rows: int, width: int, share: float, seed: int, kind: str, full: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    lengths = np.full(rows, width) if full else lengths_of(rows, width, seed)
    real = torch.arange(width) < torch.from_numpy(lengths)[:, None]
    wanted = (torch.rand(rows, width, generator=generator) < share) & real
    read = wanted.flatten().nonzero().squeeze(1)
    read = read[torch.randperm(len(read), generator=generator)]
    embedded = torch.randn(rows, width, SHAPE.hidden_size, generator=generator)
    encoder, attention = encoder_of(seed), attention_of(kind, real, generator)
    fast = outcome(encoder, embedded, attention, read)
    encoder.leaves_out_unread = False
    for ours, plain in zip(fast, outcome(encoder, embedded, attention, read), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


def test_what_is_not_read_cannot_be_read_unnoticed() -> None:
    embedded, read = torch.randn(4, 9, SHAPE.hidden_size), torch.tensor([3, 20])
    hidden = encoder_of(0).forward_at(embedded, Attention(None), read).flatten(0, 1)
    assert hidden[read].isfinite().all()
    others = torch.ones(36, dtype=torch.bool).index_fill_(0, read, False)
    assert hidden[others].isnan().all()


def test_the_last_layer_computes_nothing_else() -> None:
    encoder, seen = encoder_of(0), []
    for layer in encoder.layers:
        assert isinstance(layer.intermediate, nn.Linear)
        layer.intermediate.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    encoder.forward_at(torch.randn(4, 9, SHAPE.hidden_size), Attention(None), torch.tensor([3, 20]))
    assert seen == [(4, 9, SHAPE.hidden_size), (2, SHAPE.hidden_size)]


@pytest.mark.parametrize("changed", ["encoder", "layer", "attention"])
def test_parts_of_a_plugin_are_not_passed_over(changed: str) -> None:
    class Louder(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, hidden: Tensor, attention: Attention) -> Tensor:
            output: Tensor = 2 * self.inner(hidden, attention)
            return output

    class LouderEncoder(BertEncoder):
        def forward(self, embedded: Tensor, attention: Attention) -> Tensor:
            return 2 * super().forward(embedded, attention)

    embedded, read = torch.randn(4, 9, SHAPE.hidden_size), torch.tensor([3, 20])
    encoder = LouderEncoder(SHAPE, 0.0, 0.0) if changed == "encoder" else encoder_of(0)
    last = encoder.layers[-1]
    if changed == "layer":
        encoder.layers[-1] = Louder(last)
    elif changed == "attention":
        last.attention = Louder(last.attention)
        last.forward = lambda hidden, attention: last.attention(hidden, attention)
    whole = encoder(embedded, Attention(None)).flatten(0, 1)[read]
    some = encoder.forward_at(embedded, Attention(None), read).flatten(0, 1)[read]
    torch.testing.assert_close(some, whole, rtol=1e-5, atol=1e-6)
