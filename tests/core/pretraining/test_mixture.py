"""Each objective gets its share of the sequences: evenly, wherever a batch is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clozebox.pretraining import Batch
from clozebox.pretraining.mixture import Reader, owners, share_out
from clozebox.training.console import Console
from clozebox.training.setup import Training, set_up

FAR = [0, 10**5, 10**8 - 77, 10**9]
SHARES = [
    [0.1],
    [1.0],
    [0.5, 0.5],
    [1 / 3, 2 / 3],
    [15 / 16, 1 / 16],
    [0.1, 0.2, 0.7],
    [0.5, 0.3, 0.2],
    [1 / 3, 1 / 3, 1 / 3],
    [0.25, 0.125],
    [0.05, 0.15, 0.3, 0.5],
    [0.1] * 10,
]


def runs_of(owner: np.ndarray, index: int, n: int) -> np.ndarray:
    """How many of every n in a row fall to a share."""
    count = np.concatenate([[0], np.cumsum(owner == index)])
    return count[n:] - count[:-n]


def exact(share: float) -> Fraction:
    return Fraction(share).limit_denominator(10_000)


@pytest.mark.parametrize("first", FAR)
@pytest.mark.parametrize("shares", SHARES, ids=str)
def test_where_all_shares_of_a_batch_are_whole_every_batch_is_cut_the_same_way(
    shares: list[float], first: int
) -> None:
    n = np.lcm.reduce([exact(share).denominator for share in shares])
    for size in (n, 2 * n):
        owner = owners(np.arange(first, first + 3 * size + 50), shares)
        for index, share in enumerate(shares):
            assert set(runs_of(owner, index, size)) == {size * exact(share)}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    weights=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    rest=st.integers(0, 40),
    first=st.integers(0, 10**9),
)
@example(weights=[2, 2, 12, 4], rest=0, first=752_496_980)
def test_no_share_falls_behind_or_runs_ahead(weights: list[int], rest: int, first: int) -> None:
    total = sum(weights) + rest
    owner = owners(np.arange(first, first + 3 * total), [weight / total for weight in weights])
    for index, weight in enumerate(weights):
        for n in {1, 2, 3, 5, 8, 32, total}:
            if n > 3 * total:
                continue
            off = runs_of(owner, index, n) - n * weight / total
            # For more than two shares to be rounded up or down always is impossible in general.
            assert np.abs(off).max() < index + 1 - 1e-9


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    share=st.floats(0.001, 0.999),
    first=st.integers(0, 10**9),
    n=st.integers(1, 300),
)
def test_two_shares_are_always_rounded_up_or_down(share: float, first: int, n: int) -> None:
    owner = owners(np.arange(first, first + n + 100), [share, 1 - share])
    for index, one in enumerate((share, 1 - share)):
        off = runs_of(owner, index, n) - n * one
        assert np.abs(off).max() < 1 + 1e-6


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    parts=st.lists(st.integers(1, 1000), min_size=1, max_size=7),
    first=st.integers(0, 10**10),
)
@example(parts=[1, 1, 1], first=0)
def test_shares_that_sum_to_one_leave_no_sequence_unread(parts: list[int], first: int) -> None:
    total = sum(parts)
    for digits in (17, 7):  # as computed, and as written by hand: 0.3333333 three times
        shares = [round(part / total, digits) for part in parts]
        assert (owners(np.arange(first, first + 1000), shares) >= 0).all()


def test_a_third_written_with_seven_digits_leaves_no_sequence_unread_for_long() -> None:
    # 0.3333333 * 3 leaves a ten-millionth, which would come due about here.
    for first in range(9_990_000, 10_010_000, 1000):
        assert (owners(np.arange(first, first + 1000), [0.3333333] * 3) >= 0).all()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    shares=st.sampled_from(SHARES),
    first=st.sampled_from(FAR),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
)
def test_a_sequence_falls_to_the_same_share_however_it_is_reached(
    shares: list[float], first: int, cuts: list[int]
) -> None:
    places = np.arange(first, first + sum(cuts))
    parts = np.split(places, np.cumsum(cuts)[:-1])
    whole = owners(places, shares)
    assert np.concatenate([owners(part, shares) for part in parts]).tolist() == whole.tolist()
    assert owners(places[::3], shares).tolist() == whole[::3].tolist()


@pytest.fixture
def ready(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    def make(name: str = "run", **changes: Any) -> Training:
        return set_up(make_run(name, **changes), registry, Console().say)

    return make


MIXED: dict[str, Any] = {
    "objectives": ["hidden", "ahead", "behind"],
    "objective": {"hidden": {"share": 0.5}, "ahead": {"share": 0.3}, "behind": {"share": 0.2}},
    "train": {"batch_size": 10},
}


def rows_of(reader: Reader, batch: Batch) -> list[int]:
    return [int(place - batch.places[0]) for place in reader.batch.places]


def read_by(readers: Sequence[Reader]) -> list[str]:
    return [reader.objective.name for reader in readers]


def test_each_row_is_read_once_where_the_shares_sum_to_one(
    ready: Callable[..., Training],
) -> None:
    training = ready(**MIXED)
    for step in range(5):
        [batch] = training.batches(step)
        readers = share_out(training.model.each_objective(), batch)
        assert [len(rows_of(reader, batch)) for reader in readers] == [5, 3, 2]
        assert sorted(sum((rows_of(reader, batch) for reader in readers), [])) == list(range(10))


def test_one_without_a_share_reads_everything_and_its_very_batch(
    ready: Callable[..., Training],
) -> None:
    training = ready(objectives=["hidden", "ahead", "pair"], objective={"ahead": {"share": 0.4}})
    [batch] = training.batches(0)
    hidden, ahead, pair = share_out(training.model.each_objective(), batch)
    assert hidden.batch is batch
    assert pair.batch is batch, "or the two would not share their pass"
    assert len(ahead.batch.input_ids) in (2, 3)


def test_a_row_that_is_taken_is_the_row_it_was_masks_and_labels_and_all(
    ready: Callable[..., Training],
) -> None:
    training = ready(
        objectives=["hidden", "pair"], objective={"hidden": {"share": 0.3}, "pair": {"share": 0.7}}
    )
    [batch] = training.batches(3)
    for reader in share_out(training.model.each_objective(), batch):
        rows = rows_of(reader, batch)
        taken = reader.batch
        assert 0 < len(rows) < 6
        for name in ("input_ids", "token_type_ids", "attention_mask", "special_tokens_mask"):
            assert torch.equal(getattr(taken, name), getattr(batch, name)[rows])
        assert taken.pair_label is not None and batch.pair_label is not None
        assert torch.equal(taken.pair_label, batch.pair_label[rows])
        for view in ("masked", "plain", "causal", "anticausal"):
            one, other = getattr(taken, view), getattr(batch, view)
            assert torch.equal(one.input_ids, other.input_ids[rows])
            assert torch.equal(one.labels, other.labels[rows])
        assert torch.equal(taken.uniform("anything"), batch.uniform("anything")[rows])


def test_what_is_taken_of_what_is_taken_is_still_the_same(
    ready: Callable[..., Training],
) -> None:
    [batch] = ready(train={"batch_size": 9}).batches(2)
    twice = batch.take(np.array([1, 2, 5, 8])).take(np.array([1, 3]))
    assert twice.places.tolist() == (batch.places[[2, 8]]).tolist()
    assert torch.equal(twice.masked.input_ids, batch.masked.input_ids[[2, 8]])


def test_rows_keep_their_masks_in_any_order(ready: Callable[..., Training]) -> None:
    [batch] = ready(train={"batch_size": 9}).batches(2)
    for rows in ([7, 2, 5], [8, 7, 6], [3], [0, 8]):
        assert torch.equal(batch.take(np.array(rows)).masked.labels, batch.masked.labels[rows])


def test_documents_that_share_a_row_go_with_it(ready: Callable[..., Training]) -> None:
    [batch] = ready().batches(0)
    ids = torch.arange(batch.input_ids.numel()).view_as(batch.input_ids)
    packed = replace(batch, document_ids=ids).take(np.array([0, 4]))
    assert packed.document_ids is not None
    assert torch.equal(packed.document_ids, ids[[0, 4]])


def test_one_whose_share_of_a_micro_batch_is_nothing_is_left_out(
    ready: Callable[..., Training],
) -> None:
    training = ready(**{**MIXED, "speed": {"micro_batch_size": 1}})
    found = [
        read_by(share_out(training.model.each_objective(), batch)) for batch in training.batches(0)
    ]
    assert [len(names) for names in found] == [1] * 10
    assert sorted(sum(found, [])) == ["ahead"] * 3 + ["behind"] * 2 + ["hidden"] * 5
