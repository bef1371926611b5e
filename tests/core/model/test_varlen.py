"""Real tokens laid end to end are computed as padded ones: only the kernel itself is a GPU's."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clozebox import ModelShape
from clozebox.model import (
    Attention,
    AttentionKind,
    BertEncoder,
    Extents,
    MultiHeadSelfAttention,
    initialise,
)
from clozebox.model.kernels import candidates, exact_backward
from clozebox.model.varlen import BUCKETS, FLASH, MULTIPLE, Packing, VariableLength, bucket

SHAPE = ModelShape(
    vocab_size=50,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=64,
)
KINDS: tuple[AttentionKind, ...] = ("bidirectional", "causal", "anticausal")
CPU = torch.device("cpu")


def emulated(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    window_size: tuple[int, int] = (-1, -1),
) -> Tensor:
    """``varlen_attn`` as its documentation says it, one sequence after the other."""
    assert torch.equal(cu_seq_q, cu_seq_k) and cu_seq_q.dtype == torch.int32
    assert cu_seq_q[0] == 0 and cu_seq_q[-1] == len(query)
    outputs = []
    for begin, end in zip(cu_seq_q.tolist(), cu_seq_q.tolist()[1:], strict=False):
        assert 0 <= end - begin <= min(max_q, max_k)
        q, k, v = (one[begin:end].transpose(0, 1) for one in (query, key, value))  # (N, L, H)
        left, right = window_size
        away = (
            torch.arange(end - begin)[None, :] - torch.arange(end - begin)[:, None]
        )  # key - query
        seen = ((left < 0) | (away >= -left)) & ((right < 0) | (away <= right))
        scores = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).masked_fill(~seen, -torch.inf)
        outputs.append((scores.softmax(-1) @ v).transpose(0, 1))
    return torch.cat(outputs)


EMULATED = VariableLength(emulated, (torch.float32,))


@pytest.fixture
def emulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MultiHeadSelfAttention, "variable_length", EMULATED)


def outcome(
    forward: Any, embedded: Tensor, attention: Attention, real: Tensor, encoder: Any = None
) -> list[Tensor]:
    """Hidden states of real tokens, and every gradient of a function of them."""
    encoder = encoder or forward
    given_ = embedded.clone().requires_grad_()
    encoder.zero_grad()
    for parameter in encoder.parameters():
        parameter.grad = torch.zeros_like(parameter)
    kept = forward(given_, attention)[real]
    (torch.linspace(-1, 1, kept.numel()).view_as(kept) * kept).sum().backward()
    assert given_.grad is not None
    return [kept.detach(), given_.grad[real], *(p.grad.clone() for p in encoder.parameters())]


def use(encoder: BertEncoder, kernel: str | None) -> None:
    for module in encoder.modules():
        if isinstance(module, MultiHeadSelfAttention):
            module.kernel = kernel  # type: ignore[assignment]


@settings(max_examples=30)
@given(
    st.integers(1, 12),
    st.integers(1, 30),
    st.integers(0, 10**6),
    st.sampled_from(KINDS),
    st.booleans(),
)
def test_packed_tokens_are_computed_as_padded_ones(
    rows: int, width: int, seed: int, kind: AttentionKind, packs_documents: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    lengths = np.random.default_rng(seed).integers(0, width + 1, rows)
    lengths[0] = max(lengths[0], 1)
    real = torch.arange(width) < torch.from_numpy(lengths)[:, None]
    documents = None
    if packs_documents:
        documents = torch.rand(rows, width, generator=generator).lt(0.2).cumsum(1)
    on_host = None if documents is None else documents.numpy()
    attention = Attention(
        real, kind, document_ids=documents, extents=Extents(real, lengths, on_host)
    )
    encoder = BertEncoder(SHAPE, 0.0, 0.0)
    initialise(encoder, seed=1, std=0.3)
    for module in encoder.modules():
        if isinstance(module, MultiHeadSelfAttention):
            module.variable_length = EMULATED
    embedded = torch.randn(rows, width, SHAPE.hidden_size, generator=generator)
    # Of a bounded number, as on a GPU: the wanted ones first, then whatever fills up, padding too.
    wanted = (torch.rand(rows, width, generator=generator) < 0.2) & real
    read = wanted.flatten().byte().argsort(descending=True, stable=True)[: int(wanted.sum()) + 5]
    use(encoder, "varlen")
    packed = outcome(encoder, embedded, attention, real)
    some = outcome(partial(encoder.forward_at, read=read), embedded, attention, wanted, encoder)
    use(encoder, "torch")
    encoder.leaves_out_unread = False
    for ours, plain in zip(packed, outcome(encoder, embedded, attention, real), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
    for ours, plain in zip(some, outcome(encoder, embedded, attention, wanted), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 10**6))
def test_the_shapes_are_few_and_every_token_has_one_place(rows: int, width: int, seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(0, width + 1, rows)
    real = torch.arange(width) < torch.from_numpy(lengths)[:, None]
    packing = Packing.of(Extents(real, lengths), CPU)
    place = packing.place.numpy()
    assert len(np.unique(place)) == len(place) == bucket(int(lengths.sum()), rows * width)
    assert np.isin(np.flatnonzero(real.numpy()), place).all()
    assert (len(packing.begins) - 1) % MULTIPLE == 0
    assert int(packing.begins.diff().max()) <= width
    assert int(packing.begins[-1]) == len(place)


def test_a_bucket_holds_its_tokens_and_there_are_few() -> None:
    for most in (1, 7, 16, 100, 4096):
        sizes = [bucket(tokens, most) for tokens in range(most + 1)]
        assert all(size >= tokens for tokens, size in enumerate(sizes))
        assert max(sizes) == most
        assert len({*sizes}) <= BUCKETS


def test_it_is_left_alone_where_the_kernel_cannot_do_it(emulation: None) -> None:
    """Dropout, prefixes, another type, and a mask of which the host knows nothing."""
    real = torch.arange(9) < torch.tensor([9, 2, 1])[:, None]
    known = Extents(real, np.array([9, 2, 1]))
    embedded = torch.randn(3, 9, SHAPE.hidden_size)
    encoder = BertEncoder(SHAPE, 0.0, 0.1)
    use(encoder, "varlen")
    attention = Attention(real, extents=known)
    assert encoder._layout(embedded, attention) is None  # dropout, in training
    encoder.eval()
    assert isinstance(encoder._layout(embedded, attention), Packing)
    assert encoder._layout(embedded.double(), attention) is None
    prefix = Attention(real, "prefix", prefix_length=torch.tensor([2, 1, 1]), extents=known)
    unknown, other = Attention(real), Attention(real.clone(), extents=known)
    on_device = Attention(real, document_ids=real.long(), extents=known)
    for one in (prefix, unknown, other, on_device):
        assert one.packing is None
        assert encoder(embedded, one).isfinite().all()


def test_the_gpus_kernel_takes_half_precision_only() -> None:
    assert not FLASH.takes(torch.ones(1))
    assert FLASH.takes(torch.ones(1).bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert FLASH.takes(torch.ones(1))


def test_products_are_the_only_kernel_of_a_cpu_with_dropout() -> None:
    """Another would draw other numbers."""
    assert candidates("cpu", "bf16", 0.1) == ("products",)
    assert "varlen" not in candidates("cuda", "bf16", 0.1)
    assert "varlen" not in candidates("cuda", "fp32", 0.0)
    assert candidates("cuda", "bf16", 0.0)[-1] == "varlen"


def test_the_backward_pass_of_attention_alone_must_be_exact() -> None:
    modes: list[int] = []

    class Told(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, tensor: Tensor) -> Tensor:
            return tensor.clone()

        @staticmethod
        def backward(context: Any, gradient: Tensor) -> Tensor:
            modes.append(torch.get_deterministic_debug_mode())
            return gradient

    before = torch.get_deterministic_debug_mode()
    try:
        for mode in (1, 0):
            torch.set_deterministic_debug_mode(mode)
            query = Told.apply(torch.ones(3, requires_grad=True))
            mixed = Told.apply(query)
            exact_backward(query, mixed)
            Told.apply(mixed).sum().backward()
            assert torch.get_deterministic_debug_mode() == mode
    finally:
        torch.set_deterministic_debug_mode(before)
    assert modes == [1, 2, 1, 0, 0, 0]
