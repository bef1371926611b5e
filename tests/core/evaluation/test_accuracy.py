"""A share of right answers, and the interval around it."""

from __future__ import annotations

import copy
import json
import math

import pytest

from clozebox.evaluation import Accuracy


@pytest.mark.parametrize(
    ("right", "asked", "low", "high"),
    [
        # From scipy 1.17, binomtest(right, asked).proportion_ci(method="wilson")
        (8, 10, 0.49016247153664183, 0.9433178485456247),
        (0, 10, 0.0, 0.27753279986288617),
        (10, 10, 0.7224672001371139, 1.0),
    ],
)
def test_the_interval_of_a_share_is_wilsons(
    right: int, asked: int, low: float, high: float
) -> None:
    found = Accuracy.of(right, asked)
    assert (found, found.low, found.high) == pytest.approx((right / asked, low, high))


def test_it_is_a_number_to_whoever_knows_no_better() -> None:
    found = Accuracy.of(5, 8)
    assert found == 0.625
    assert json.dumps({"accuracy": found}) == '{"accuracy": 0.625}'
    copied = copy.deepcopy(found)
    assert (copied, copied.low, copied.high) == (found, found.low, found.high)


def test_the_mean_counts_every_part_the_same_whatever_its_size() -> None:
    found = Accuracy.mean([Accuracy.of(10, 10), Accuracy.of(500, 1000)])
    assert found == 0.75


def test_the_mean_of_one_part_is_the_part() -> None:
    part = Accuracy.of(3, 17)
    mean = Accuracy.mean([part])
    assert (mean, mean.low, mean.high) == pytest.approx((part, part.low, part.high))


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says() -> None:
    """Exactly, over all outcomes of two samples of 25 and 40 questions."""

    def chance(right: int, asked: int, share: float) -> float:
        return math.comb(asked, right) * share**right * (1 - share) ** (asked - right)

    for shares in ((0.5, 0.5), (0.6, 0.9), (0.3, 0.8)):
        truth = sum(shares) / 2
        covered = 0.0
        for one in range(26):
            for other in range(41):
                found = Accuracy.mean([Accuracy.of(one, 25), Accuracy.of(other, 40)])
                if found.low <= truth <= found.high:
                    covered += chance(one, 25, shares[0]) * chance(other, 40, shares[1])
        assert 0.94 < covered < 0.965, shares
