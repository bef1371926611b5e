"""Statistics for a handful of seeds, against printed tables, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clozebox.report.statistics import (
    estimate,
    holm,
    paired_difference,
    sign_flip_p,
    t_central_probability,
    t_quantile,
)

PRINTED = {(0.975, 1): 12.706, (0.975, 2): 4.303, (0.975, 4): 2.776, (0.95, 7): 1.895}
PRINTED |= {(0.995, 10): 3.169, (0.975, 30): 2.042, (0.9, 3): 1.638}


@pytest.mark.parametrize(("p", "df"), PRINTED)
def test_t_quantiles_equal_the_printed_table(p: float, df: int) -> None:
    assert t_quantile(p, df) == pytest.approx(PRINTED[p, df], abs=5e-4)


def test_t_quantiles_and_probabilities_equal_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for df in (1, 2, 3, 4, 5, 6, 11, 24, 59):
        for p in (0.5, 0.6, 0.975, 0.9999, 0.025):
            assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-9)
        for t in (0.0, 0.3, 2.1, 17.0):
            inside = 1 - 2 * stats.t.sf(t, df)
            assert t_central_probability(t, df) == pytest.approx(inside, abs=1e-12)


def test_a_quantile_out_of_range_is_refused() -> None:
    for p, df in ((0.0, 3), (1.0, 3), (0.9, 0)):
        with pytest.raises(ValueError, match="t_quantile needs"):
            t_quantile(p, df)


def test_the_interval_of_five_seeds_holds_the_truth_95_times_in_100() -> None:
    draws = np.random.default_rng(11).normal(3.0, 0.2, size=(2000, 5))
    intervals = [estimate(row.tolist()).interval for row in draws]
    covered = sum(interval is not None and interval.holds(3.0) for interval in intervals)
    assert 0.93 < covered / len(draws) < 0.97


def test_an_estimate_is_the_mean_the_sample_deviation_and_a_t_interval() -> None:
    found = estimate([2.0, 4.0, 9.0])
    assert found.mean == 5.0
    assert found.std == pytest.approx(math.sqrt(13))
    assert found.half_width == pytest.approx(4.3027 * math.sqrt(13 / 3), rel=1e-4)


def test_one_seed_has_neither_spread_nor_interval() -> None:
    found = estimate([7.0])
    assert (found.n, found.mean, found.std, found.interval) == (1, 7.0, None, None)


def test_differences_are_paired_by_seed_over_the_seeds_both_have() -> None:
    found = paired_difference({0: 1.5, 2: 9.0, 3: 4.0, 8: 0.0}, {3: 3.0, 0: 1.0, 2: 7.0, 5: 1.0})
    assert found is not None
    assert found.by_seed == {0: 0.5, 2: 2.0, 3: 1.0}
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_the_paired_t_test_equals_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    arm, base = [3.1, 3.4, 2.9, 3.3], [3.0, 3.1, 2.8, 3.35]
    found = paired_difference(dict(enumerate(arm)), dict(enumerate(base)))
    assert found is not None
    assert found.p_t == pytest.approx(stats.ttest_rel(arm, base).pvalue)


def test_arms_that_agree_exactly_differ_by_nothing_and_constant_differences_are_certain() -> None:
    same = paired_difference({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0})
    shifted = paired_difference({0: 1.5, 1: 2.5}, {0: 1.0, 1: 2.0})
    assert same is not None and same.p_t == 1.0
    assert shifted is not None and shifted.p_t == 0.0


@pytest.mark.parametrize("n", [2, 5, 12])
def test_differences_of_one_sign_reach_the_smallest_sign_flip_p(n: int) -> None:
    assert sign_flip_p([0.1 * (i + 1) for i in range(n)]) == 2 / 2**n


def test_the_sign_flip_p_counts_every_flip_as_extreme_as_the_data() -> None:
    # |±1 ±2 ±3|: 6 twice, 4 twice, 2 twice, 0 twice; observed |1 + 2 - 3| = 0 and |1 - 2 + 3| = 2.
    assert sign_flip_p([1.0, 2.0, -3.0]) == 1.0
    assert sign_flip_p([1.0, -2.0, 3.0]) == 6 / 8
    assert sign_flip_p([1.0]) is None
    assert sign_flip_p([1.0] * 13) is None


def test_holm_steps_down_in_the_order_given() -> None:
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
