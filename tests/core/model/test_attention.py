"""What a position sees, and what it must not."""

import pytest
import torch
from torch import Tensor

from clozebox import ModelShape
from clozebox.model import Attention, AttentionKind, BertEncoder, MultiHeadSelfAttention

SHAPE = ModelShape(
    vocab_size=97,
    hidden_size=30,
    num_hidden_layers=3,
    num_attention_heads=5,
    intermediate_size=41,
    max_position_embeddings=17,
)
BATCH, LENGTH = 4, 11


@pytest.fixture
def encoder() -> BertEncoder:
    torch.manual_seed(1)
    return BertEncoder(SHAPE).eval()


@pytest.fixture
def embedded() -> Tensor:
    return torch.randn(BATCH, LENGTH, SHAPE.hidden_size, generator=torch.Generator().manual_seed(2))


def real(*lengths: int) -> Tensor:
    return torch.arange(LENGTH) < torch.tensor(lengths)[:, None]  # (B, T)


def influence(encoder: BertEncoder, embedded: Tensor, attention: Attention, at: int) -> set[int]:
    """Positions whose output moves when position ``at`` is changed, in any sequence."""
    changed = embedded.clone()
    changed[:, at] += 1.0
    difference = encoder(embedded, attention) - encoder(changed, attention)
    return set(difference.abs().amax(dim=(0, 2)).gt(1e-6).nonzero().flatten().tolist())


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("at", [0, 4, 6])
def test_causal_attention_sees_nothing_that_follows(
    encoder: BertEncoder, embedded: Tensor, at: int, padded: bool
) -> None:
    mask = real(7, 9, 11, 8) if padded else None
    moved = influence(encoder, embedded, Attention(mask, "causal"), at)
    assert moved == set(range(at, LENGTH))


@pytest.mark.parametrize("at", [0, 4, 10])
def test_anticausal_attention_sees_nothing_that_came_before(
    encoder: BertEncoder, embedded: Tensor, at: int
) -> None:
    moved = influence(encoder, embedded, Attention(real(11, 11, 11, 11), "anticausal"), at)
    assert moved == set(range(at + 1))


@pytest.mark.parametrize("at", [0, 4, 10])
def test_bidirectional_attention_sees_everything(
    encoder: BertEncoder, embedded: Tensor, at: int
) -> None:
    assert influence(encoder, embedded, Attention(None), at) == set(range(LENGTH))


@pytest.mark.parametrize("kind", ["bidirectional", "causal", "anticausal"])
def test_padding_is_invisible_to_real_tokens_and_its_own_output_is_finite(
    encoder: BertEncoder, embedded: Tensor, kind: AttentionKind
) -> None:
    mask = real(7, 9, 11, 1)
    other = torch.where(mask[..., None], embedded, embedded.flip(0) + 3.0)
    attention = Attention(mask, kind)
    output, output_of_other = encoder(embedded, attention), encoder(other, attention)
    assert output.isfinite().all()
    torch.testing.assert_close(output[mask], output_of_other[mask], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["bidirectional", "causal", "anticausal"])
def test_a_padded_sequence_reads_as_it_does_alone(
    encoder: BertEncoder, embedded: Tensor, kind: AttentionKind
) -> None:
    padded = encoder(embedded, Attention(real(7, 9, 11, 8), kind))[0, :7]
    alone = encoder(embedded[:1, :7], Attention(torch.ones(1, 7, dtype=torch.bool), kind))[0]
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["bidirectional", "causal", "anticausal"])
def test_a_sequence_of_padding_alone_has_finite_output_and_gradient(
    encoder: BertEncoder, embedded: Tensor, kind: AttentionKind
) -> None:
    embedded.requires_grad_()
    output = encoder(embedded, Attention(real(0, 9, 11, 8), kind))
    output.square().sum().backward()
    assert output.isfinite().all()
    assert embedded.grad is not None
    assert embedded.grad.isfinite().all()


def test_a_mask_with_no_padding_changes_nothing(encoder: BertEncoder, embedded: Tensor) -> None:
    with_mask = encoder(embedded, Attention(real(11, 11, 11, 11)))
    torch.testing.assert_close(with_mask, encoder(embedded, Attention(None)), atol=1e-5, rtol=0)


def test_the_kernel_gets_no_mask_where_it_needs_none() -> None:
    assert Attention(None).mask is None
    assert Attention(real(7, 9, 11, 8), "causal").mask is None
    assert Attention(real(7, 9, 11, 8), "causal").is_causal
    bidirectional, anticausal = (
        Attention(real(7, 9, 11, 8), kind).mask for kind in ("bidirectional", "anticausal")
    )
    assert bidirectional is not None
    assert bidirectional.shape == (BATCH, 1, 1, LENGTH)
    assert anticausal is not None
    assert anticausal.shape == (BATCH, 1, LENGTH, LENGTH)


@pytest.mark.parametrize("kind", ["bidirectional", "anticausal"])
def test_no_row_of_a_mask_is_empty(kind: AttentionKind) -> None:
    mask = Attention(real(0, 9, 11, 8), kind).mask
    assert mask is not None
    assert mask.any(dim=-1).all()


def test_a_misspelt_kind_is_an_error_and_not_bidirectional() -> None:
    with pytest.raises(ValueError, match="casual"):
        Attention(real(7, 9, 11, 8), "casual")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="attention_mask"):
        Attention(None, "anticausal")


def test_attention_dropout_acts_in_training_only() -> None:
    torch.manual_seed(3)
    module = MultiHeadSelfAttention(hidden_size=30, num_heads=5, dropout=0.5)
    hidden = torch.randn(BATCH, LENGTH, 30)
    trained = [module(hidden, Attention(None)) for _ in range(2)]
    module.eval()
    used = [module(hidden, Attention(None)) for _ in range(2)]
    assert not torch.equal(*trained)
    assert torch.equal(*used)
