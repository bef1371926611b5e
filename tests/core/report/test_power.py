"""What so many seeds can find, and how many the next experiment needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.report.in_memory import compared

from clozebox.cli.compare import compare_experiment
from clozebox.config.lint import SEEN_WITH
from clozebox.report import compare_runs
from clozebox.report.power import (
    detectable_ratio,
    power,
    seeds_needed,
    sensitivity,
    spread_allowance,
)
from clozebox.report.sections import sensitivity_table
from clozebox.report.statistics import SIGNIFICANCE, estimate


def test_the_power_is_that_of_scipys_noncentral_t() -> None:
    stats = pytest.importorskip("scipy.stats")
    for ratio, n, alpha in ((3.0, 2, 0.05), (1.5, 5, 0.05), (1.5, 5, 0.0125), (0.5, 40, 0.05)):
        critical, shift = stats.t.ppf(1 - alpha / 2, n - 1), ratio * n**0.5
        inside = stats.nct.cdf(critical, n - 1, shift) - stats.nct.cdf(-critical, n - 1, shift)
        assert power(ratio, n, alpha) == pytest.approx(1 - inside, abs=1e-5)
    assert power(0.0, 7, 0.05) == pytest.approx(0.05, abs=1e-6)


def test_the_allowance_for_a_spread_of_few_runs_is_a_quantile_of_its_distribution() -> None:
    stats = pytest.importorskip("scipy.stats")
    for df in (1, 2, 4, 9, 49):
        expected = (df / stats.chi2.ppf(0.2, df)) ** 0.5
        assert spread_allowance(df) == pytest.approx(expected, rel=0.005)


def test_a_sweep_promises_before_what_a_report_says_after() -> None:
    """The linter keeps a table, because settings may not import a room above them."""
    for seeds, told in SEEN_WITH.items():
        assert told == pytest.approx(detectable_ratio(seeds, SIGNIFICANCE), rel=0.005), seeds


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_as_many_seeds_as_needed_are_enough_and_one_less_is_not(alpha: float) -> None:
    for ratio in (0.3, 0.8, 1.7, 6.0):
        n = seeds_needed(ratio, alpha)
        assert n is not None
        assert power(ratio, n, alpha) >= 0.8
        assert n == 2 or power(ratio, n - 1, alpha) < 0.8
        assert detectable_ratio(n, alpha) <= ratio + 1e-6
    assert seeds_needed(0.001, alpha) is None and seeds_needed(0.0, alpha) is None


def test_differences_that_are_all_alike_and_a_single_one_have_no_sensitivity() -> None:
    assert sensitivity(estimate([0.2]), 1, None) is None
    assert sensitivity(estimate([0.2, 0.2]), 1, None) is None


def test_more_comparisons_find_less_and_need_more() -> None:
    difference = estimate([0.1, 0.3, 0.2, 0.35, 0.15])
    one, four = sensitivity(difference, 1, None), sensitivity(difference, 4, None)
    assert one is not None and four is not None
    assert one.effect == pytest.approx(0.22)
    assert one.detectable < four.detectable
    assert (one.seeds or 0) < (four.seeds or 0)


def test_the_table_is_about_the_difference_that_matters_if_somebody_says_which(
    experiment: Path,
) -> None:
    seen, asked = (sensitivity_table(compare_runs(experiment, effect=e)) for e in (None, 0.01))
    assert seen is not None and asked is not None
    assert (seen.header[-1], asked.header[-1]) == ("seeds for one as seen", "seeds for one of 0.01")
    assert [row[0] for row in seen.rows] == ["whole_word", "forward"]
    assert seen.rows[0][-1] == ">1000", "a difference of 0.001 under a spread of 0.02"
    assert asked.rows[0][-1] != ">1000"
    assert "what the seeds can tell" in compare_experiment(experiment)


def test_a_metric_besides_the_main_one_has_none() -> None:
    comparison = compared(
        {name: [{"eval/loss": v, "eval/b_loss": v} for v in (1.0, 1.3)] for name in ("a", "b")}
    )
    row = comparison.rows("eval/b_loss")[1]
    assert row.difference is not None and row.sensitivity is None and row.efficiency is None
