"""Every kind of attention against its rule written naively, position by position."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clozebox import ModelShape
from clozebox.model import Attention, AttentionKind, BertEncoder

KINDS: tuple[AttentionKind, ...] = get_args(AttentionKind)
SHAPE = ModelShape(
    vocab_size=97,
    hidden_size=30,
    num_hidden_layers=2,
    num_attention_heads=5,
    intermediate_size=41,
    max_position_embeddings=17,
)


def rule(
    kind: str, query: int, key: int, length: int, prefix: int, documents: list[int] | None
) -> bool:
    """Whether the real position ``query`` may look at ``key``, in a row of ``length`` tokens."""
    if key >= length or (documents is not None and documents[query] != documents[key]):
        return False
    if kind == "bidirectional":
        return True
    if kind == "anticausal":
        return key >= query
    return key <= query or (kind == "prefix" and key < prefix)


@st.composite
def rows(draw: st.DrawFn, packed: bool) -> dict[str, Tensor]:
    """Rows with padding on the right, prefixes, and documents that follow one another."""
    width = draw(st.integers(1, 9))
    lengths = draw(st.lists(st.integers(0, width), min_size=1, max_size=4))
    begins = st.lists(st.booleans(), min_size=width, max_size=width)
    prefixes = [draw(st.integers(0, width)) for _ in lengths]
    found = {
        "lengths": torch.tensor(lengths),
        "attention_mask": torch.arange(width) < torch.tensor(lengths)[:, None],
        "prefix_length": torch.tensor(prefixes),
    }
    if packed:
        found["document_ids"] = torch.tensor([draw(begins) for _ in lengths]).long().cumsum(1)
    return found


def attention_of(kind: AttentionKind, row: dict[str, Tensor]) -> Attention:
    return Attention(
        row["attention_mask"],
        kind,
        prefix_length=row["prefix_length"] if kind == "prefix" else None,
        document_ids=row.get("document_ids"),
    )


def kernel_pattern(attention: Attention, rows: int, length: int) -> Tensor:
    """What the kernel lets through: each key is its own value, so weights come out as they are."""
    query = torch.zeros(rows, 1, length, 3)
    value = torch.eye(length).expand(rows, 1, length, length)
    return attention(query, query, value)[:, 0] > 0  # (B, T, T)


@pytest.mark.parametrize("packed", [False, True], ids=["one document", "packed"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(data=st.data())
def test_a_real_position_looks_exactly_where_its_kind_allows(
    kind: AttentionKind, packed: bool, data: st.DataObject
) -> None:
    row = data.draw(rows(packed))
    attention, (count, width) = attention_of(kind, row), row["attention_mask"].shape
    seen = kernel_pattern(attention, count, width)
    for number, length in enumerate(row["lengths"].tolist()):
        prefix = int(row["prefix_length"][number])
        documents = row["document_ids"][number].tolist() if packed else None
        for query in range(length):
            expected = [rule(kind, query, key, length, prefix, documents) for key in range(width)]
            assert seen[number, query].tolist() == expected, (kind, query)


@pytest.mark.parametrize("packed", [False, True], ids=["one document", "packed"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_the_pattern_that_is_shown_is_the_one_that_the_kernel_reads(
    kind: AttentionKind, packed: bool, data: st.DataObject
) -> None:
    row = data.draw(rows(packed))
    attention, (count, width) = attention_of(kind, row), row["attention_mask"].shape
    shown = attention.pattern(count, width)
    assert torch.equal(shown, kernel_pattern(attention, count, width))
    assert shown.any(dim=2).all(), "a softmax over nothing is NaN"


def test_the_pattern_of_attention_without_a_mask_is_everything() -> None:
    assert Attention(None).pattern(3, 7).tolist() == [[[True] * 7] * 7] * 3


@pytest.fixture(scope="module")
def encoder() -> BertEncoder:
    torch.manual_seed(1)
    return BertEncoder(SHAPE).eval()


ROW: dict[str, Tensor] = {  # two documents and a half of padding; a prefix into the second
    "attention_mask": torch.arange(11) < torch.tensor([8, 11])[:, None],
    "prefix_length": torch.tensor([5, 3]),
    "document_ids": torch.tensor(
        [[0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2], [4, 4, 4, 4, 5, 7, 7, 7, 7, 7, 7]]
    ),
}


@pytest.mark.parametrize("packed", [False, True], ids=["one document", "packed"])
@pytest.mark.parametrize("kind", KINDS)
def test_through_an_encoder_exactly_the_allowed_outputs_move(
    encoder: BertEncoder, kind: AttentionKind, packed: bool
) -> None:
    row = ROW if packed else {k: v for k, v in ROW.items() if k != "document_ids"}
    attention = attention_of(kind, row)
    embedded = torch.randn(2, 11, 30, generator=torch.Generator().manual_seed(2))
    before = encoder(embedded, attention)
    for number, at in [(0, 0), (0, 3), (0, 4), (0, 7), (0, 9), (1, 2), (1, 4), (1, 10)]:
        changed = embedded.clone()
        changed[number, at] += 1.0
        difference = (encoder(changed, attention) - before).abs().amax(-1)  # (B, T)
        moved = (difference > 1e-6).nonzero().tolist()
        length, prefix = int(row["attention_mask"][number].sum()), int(row["prefix_length"][number])
        documents = row["document_ids"][number].tolist() if packed else None
        # Two layers look no further than one: every one of these patterns is transitive.
        allowed = [
            [number, query]
            for query in range(length)
            if query == at or rule(kind, query, at, length, prefix, documents)
        ]
        assert [place for place in moved if place[1] < length] == allowed


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_document_reads_as_it_does_alone(
    encoder: BertEncoder, kind: AttentionKind
) -> None:
    """Its positions are the encoder's input here, so that alone it can be given the same ones."""
    embedded = torch.randn(1, 11, 30, generator=torch.Generator().manual_seed(3))
    document_ids = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2]])
    real, prefix = torch.ones(1, 11, dtype=torch.bool), 6
    row = {
        "attention_mask": real,
        "prefix_length": torch.tensor([prefix]),
        "document_ids": document_ids,
    }
    packed = encoder(embedded, attention_of(kind, row))
    for document in (0, 1, 2):
        [here] = (document_ids[0] == document).nonzero().T
        alone = {
            "attention_mask": real[:, : len(here)],
            "prefix_length": torch.tensor([max(0, prefix - int(here[0]))]),
        }
        output = encoder(embedded[:, here], attention_of(kind, alone))
        torch.testing.assert_close(packed[:, here], output, atol=1e-5, rtol=0)


@pytest.mark.parametrize("packed", [False, True], ids=["one document", "packed"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_padding_alone_has_finite_output_and_gradient(
    encoder: BertEncoder, kind: AttentionKind, packed: bool
) -> None:
    row = {
        "attention_mask": torch.arange(7) < torch.tensor([0, 1, 7])[:, None],
        "prefix_length": torch.tensor([0, 0, 4]),
    }
    if packed:
        row["document_ids"] = torch.tensor([[0] * 7, [0, 1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 1, 2, 2]])
    embedded = torch.randn(3, 7, 30, requires_grad=True)
    output = encoder(embedded, attention_of(kind, row))
    output.square().sum().backward()
    assert output.isfinite().all()
    assert embedded.grad is not None
    assert embedded.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["bidirectional", "causal", "anticausal"])
def test_documents_are_never_read_as_one_for_want_of_a_mask(kind: AttentionKind) -> None:
    with pytest.raises(ValueError, match="attention_mask"):
        Attention(None, kind, document_ids=torch.tensor([[0, 0, 1]]))


def test_a_prefix_and_its_length_come_together() -> None:
    mask, length = torch.ones(1, 4, dtype=torch.bool), torch.tensor([2])
    with pytest.raises(ValueError, match="prefix_length"):
        Attention(mask, "prefix")
    with pytest.raises(ValueError, match="prefix_length"):
        Attention(mask, "causal", prefix_length=length)
