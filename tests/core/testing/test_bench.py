"""What components are tried on must be what it says, or a check could pass for nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clozebox.testing.bench import ALL_HIDDEN, LENGTH, Bench
from clozebox.testing.chance import is_off
from clozebox.testing.objective.case import copies


@pytest.fixture(scope="module", params=["wordpiece", "bpe"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(3, request.param)


def test_there_are_words_of_several_pieces_and_padding(bench: Bench) -> None:
    batch = bench.batch(count=50)
    continues = torch.isin(batch.input_ids, torch.tensor(bench.vocabulary.continuation_ids))
    assert 0.05 < (continues & ~batch.special_tokens_mask).float().mean() < 0.8
    assert not batch.attention_mask.all()
    assert batch.attention_mask.sum(1).min() >= 3
    assert batch.attention_mask.sum(1).max() == LENGTH


def test_another_seed_is_another_text() -> None:
    assert Bench(0).store.fingerprint != Bench(1).store.fingerprint
    assert Bench(0).store.fingerprint == Bench(0).store.fingerprint


def test_a_copy_differs_in_one_token_and_is_masked_alike(bench: Bench) -> None:
    batch = bench.batch(masking=ALL_HIDDEN.build(bench.text))
    many = copies(batch, 2)
    differs = many.input_ids[1:] != many.input_ids[0]  # (T, T)
    assert torch.equal(differs, torch.diag(batch.attention_mask[2])), "[CLS] and [SEP] too"
    hidden = many.masked.labels >= 0
    assert hidden[0].any()
    assert (hidden == hidden[0]).all()
    assert torch.equal(many.masked.labels[0], batch.masked.labels[2])


def test_packed_rows_hold_two_framed_documents(bench: Bench) -> None:
    batch = bench.packed(count=20)
    documents = batch.document_ids
    assert documents is not None
    for row in range(20):
        for document in (0, 1):
            ids = batch.input_ids[row][documents[row] == document].tolist()
            assert ids[0] == bench.vocabulary.cls_id
            assert ids[-1] == bench.vocabulary.sep_id
            assert not set(ids[1:-1]) & set(bench.vocabulary.special_ids)
        assert (documents[row].diff() >= 0).all()
    assert torch.equal(batch.attention_mask, documents < 2)


def test_masks_of_a_bench_do_not_depend_on_its_width(bench: Bench) -> None:
    batch = bench.batch()
    narrow = batch.uniform("x")
    assert narrow.shape == (8, LENGTH)
    assert torch.equal(batch.take(np.arange(3, 5)).uniform("x"), narrow[3:5])


def test_chance_is_told_from_a_bias() -> None:
    generator = np.random.default_rng(0)
    fair = generator.binomial(10_000, 0.15, size=20_000)
    assert not any(is_off(int(hits), 10_000, 0.15) for hits in fair)
    assert is_off(1500 + 300, 10_000, 0.15)
    assert is_off(1500 - 300, 10_000, 0.15)
    assert is_off(1, 10_000, 0.0)
    assert not is_off(0, 0, 0.3)
