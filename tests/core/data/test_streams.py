from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clozebox.data import integer_seed, permutation, uniform

seeds = st.integers(0, 2**63)


@given(seeds, st.integers(0, 2**40), st.integers(1, 9), st.integers(1, 9), st.integers(1, 37))
def test_cutting_a_call_in_two_gives_the_same_numbers(
    seed: int, first: int, above: int, below: int, width: int
) -> None:
    whole = uniform(seed, "masks", first, above + below, width)
    halves = [
        uniform(seed, "masks", first, above, width),
        uniform(seed, "masks", first + above, below, width),
    ]
    assert whole.shape == (above + below, width)
    np.testing.assert_array_equal(whole, np.concatenate(halves))


def test_numbers_are_uniform_and_below_one() -> None:
    numbers = uniform(3, "masks", 0, 1001, 129)
    assert numbers.dtype == np.float32
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts, _ = np.histogram(numbers, bins=16, range=(0, 1))
    expected = numbers.size / 16
    assert ((counts - expected) ** 2 / expected).sum() < 37.7  # chi-squared, 15 degrees, p = .001


@pytest.mark.parametrize(
    "other", [(3, "choice", 0), (4, "masks", 0), (3, "masks", 700)], ids=["stream", "seed", "row"]
)
def test_another_seed_stream_or_row_is_uncorrelated(other: tuple[int, str, int]) -> None:
    numbers = uniform(3, "masks", 0, 501, 130).ravel()
    correlation = np.corrcoef(numbers, uniform(*other, 501, 130).ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(numbers.size)


def test_neighbours_in_a_stream_are_uncorrelated() -> None:
    numbers = uniform(3, "masks", 0, 501, 131)
    for a, b in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


@given(seeds, st.integers(0, 2**40), st.integers(0, 301))
def test_a_permutation_is_a_bijection(seed: int, epoch: int, size: int) -> None:
    order = permutation(seed, "order", epoch, size)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_every_epoch_has_another_order() -> None:
    orders = {tuple(permutation(5, "order", epoch, 23)) for epoch in range(40)}
    assert len(orders) == 40


def test_a_generator_seed_has_63_bits_and_depends_on_every_argument() -> None:
    given = [
        integer_seed(0, "init"),
        integer_seed(1, "init"),
        integer_seed(0, "drop"),
        integer_seed(0, "init", 1),
        integer_seed(0, "init", 1, 2),
        integer_seed(0, "init", 2, 1),
    ]
    assert len(set(given)) == len(given)
    assert all(0 <= seed < 2**63 for seed in given)


def test_the_streams_never_change() -> None:
    """Resuming an old run depends on it: these numbers may not move between versions."""
    np.testing.assert_array_equal(
        (uniform(7, "masks", 2, 1, 3) * 2**24).astype(int), [[1697600, 14708967, 122255]]
    )
    np.testing.assert_array_equal(permutation(7, "order", 1, 5), [4, 2, 0, 3, 1])
    assert integer_seed(7, "init", 3) == 3879939756000501484
