"""What is fetched and masked a block at a time is what it would be one batch at a time."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from clozebox.data import Rows, make_examples
from clozebox.pretraining import Batch, MaskingStrategy
from clozebox.testing.bench import LENGTH, Bench, BenchMasking
from clozebox.training.batches import BLOCK, Batches

SEED = 3


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def batches(bench: Bench, config: BenchMasking | None, kind: str = "pair") -> Batches:
    documents = np.arange(bench.store.num_documents)
    examples = make_examples(kind, bench.store, documents, LENGTH, short_seq_prob=0.1, seed=SEED)
    masking = None if config is None else config.build(bench.text)
    return Batches(examples, bench.vocabulary, masking, SEED, torch.device("cpu"))


def alone(stream: Batches, first: int, count: int, progress: float) -> Batch:
    """The batch by itself, as if there were no blocks."""
    return stream._fetch(first, count, progress)


def assert_same(one: Batch, other: Batch) -> None:
    for batch in (one, other):
        known = batch.extents
        assert known is not None
        assert known.attention_mask is batch.attention_mask
        assert np.array_equal(known.lengths, batch.attention_mask.sum(1).numpy())
    for field in fields(Batch):
        if field.name == "extents":
            continue
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert torch.equal(a, b) if isinstance(a, Tensor) else a is b or a == b, field.name


@pytest.mark.parametrize("count", [1, 3, 32, 100, BLOCK // 2, BLOCK - 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("place", [0, 1, 7])
def test_a_batch_of_a_block_is_the_batch_itself(bench: Bench, count: int, place: int) -> None:
    stream = batches(bench, BenchMasking(rate=0.3))
    for first in (place * count, place * count + 1):  # in step with the blocks, and across two
        made, wanted = stream.batch(first, count, 0.25), alone(stream, first, count, 0.25)
        assert_same(made, wanted)
        for name in ("input_ids", "token_type_ids", "labels", "pair_label"):
            assert torch.equal(getattr(made.masked, name), getattr(wanted.masked, name)), name
        assert made.masked.max_targets == wanted.masked.max_targets
        assert torch.equal(made.masked.attention.mask, wanted.masked.attention.mask)
        assert torch.equal(made.uniform("mine"), wanted.uniform("mine"))


def test_a_rate_that_moves_is_that_of_the_step(bench: Bench) -> None:
    stream = batches(bench, BenchMasking(rate=0.1, final_rate=0.5, schedule="linear"))
    for progress in (0.0, 0.4, 1.0):
        made, wanted = stream.batch(8, 8, progress), alone(stream, 8, 8, progress)
        assert torch.equal(made.masked.labels, wanted.masked.labels)


def test_a_strategy_with_a_schedule_of_its_own_is_asked_at_every_step(bench: Bench) -> None:
    class Steps(BenchMasking):
        def build(self, text: object) -> MaskingStrategy:
            strategy = super().build(text)

            class Own(type(strategy)):  # type: ignore[misc]
                def rate_at(self, progress: float) -> float:
                    return 0.5 if progress > 0.5 else 0.1

            return Own(self, text.vocabulary)

    stream = batches(bench, Steps(rate=0.5))
    early, late = (stream.batch(8, 8, progress).masked.labels for progress in (0.0, 0.9))
    assert (late >= 0).sum() > 3 * (early >= 0).sum()


def test_without_masking_nothing_is_masked(bench: Bench) -> None:
    stream = batches(bench, None, "single")
    assert_same(stream.batch(4, 4, 0.0), alone(stream, 4, 4, 0.0))
    with pytest.raises(ValueError, match="no masking"):
        _ = stream.batch(4, 4, 0.0).masked


def test_a_changed_batch_is_masked_anew(bench: Bench) -> None:
    """What a copy was made for must not come back from the block."""
    batch = batches(bench, BenchMasking()).batch(4, 4, 0.0)
    other = replace(batch, seed=batch.seed + 1)
    assert not torch.equal(other.masked.labels, batch.masked.labels)


@pytest.mark.parametrize("own", [range(24, 48), range(600, 1700)], ids=["a part", "many blocks"])
@pytest.mark.parametrize("cut", [5, 8, 24])
def test_a_rank_fetches_its_own_rows_alone_and_each_once(
    bench: Bench, own: range, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = batches(bench, BenchMasking(rate=0.3))
    fetched: list[int] = []
    rows = stream.examples.rows

    def told(first: int, count: int) -> Rows:
        fetched.extend(range(first, first + count))
        return rows(first, count)

    monkeypatch.setattr(stream.examples, "rows", told)
    cuts = [range(at, min(at + cut, own.stop)) for at in range(own.start, own.stop, cut)]
    made = [stream.batch(one.start, len(one), 0.25, own) for one in cuts]
    assert set(fetched) == set(own)
    # The last cut may be shorter, and is then masked by itself, not in the block of the others.
    assert len(fetched) <= len(own) + BLOCK * (len(cuts[-1]) != cut)
    for batch, one in zip(made, cuts, strict=True):
        wanted = alone(stream, one.start, len(one), 0.25)
        assert_same(batch, wanted)
        assert torch.equal(batch.masked.labels, wanted.masked.labels)
        assert torch.equal(batch.masked.input_ids, wanted.masked.input_ids)


def test_a_part_of_some_of_the_rows_is_those_rows(bench: Bench) -> None:
    """Rows that were taken here and there stand where they stood; so do a part of them."""
    whole = batches(bench, BenchMasking(rate=0.3)).batch(40, 9, 0.0)
    rows = np.array([7, 0, 5, 3])
    part, wanted = whole.take(rows).part(1, 2, 0.5, with_masks=True), whole.take(rows[1:3])
    assert part.places.tolist() == wanted.places.tolist() == [40, 45]
    assert part.progress == 0.5
    for name in ("input_ids", "labels"):
        assert torch.equal(getattr(part.masked, name), getattr(wanted.masked, name)), name
    assert torch.equal(part.uniform("mine"), wanted.uniform("mine"))
