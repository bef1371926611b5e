"""What the statistics promise, kept over thousands of simulated experiments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.core.report.in_memory import compared

from clozebox.report.power import detectable_ratio, power, seeds_needed, sensitivity
from clozebox.report.statistics import SIGNIFICANCE, estimate, paired_difference
from clozebox.report.verdict import verdicts

EXPERIMENTS, SEEDS = 2000, 5
Noise = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
NOISES: dict[str, Noise] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "heavy-tailed": lambda random, shape: random.standard_t(6, size=shape),
}


def losses(arms: int, random: np.random.Generator, noise: Noise) -> NDArray[np.float64]:
    """(experiments, arms, seeds): a seed's own luck, larger than the rest, is in all its arms."""
    luck = 0.3 * random.normal(size=(EXPERIMENTS, 1, SEEDS))
    return 3.0 + luck + 0.05 * noise(random, (EXPERIMENTS, arms, SEEDS))


@pytest.mark.parametrize("noise", NOISES)
def test_the_interval_of_a_paired_difference_holds_the_truth_95_times_in_100(noise: str) -> None:
    found = losses(2, np.random.default_rng(5), NOISES[noise])
    found[:, 1] += 0.08  # the true difference
    covered = 0
    for base, arm in found:
        pair = paired_difference(dict(enumerate(arm)), dict(enumerate(base)))
        assert pair is not None and pair.estimate.interval is not None
        covered += pair.estimate.interval.holds(0.08)
    assert 0.93 <= covered / EXPERIMENTS <= 0.97


def test_arms_that_do_not_differ_are_told_apart_in_at_most_one_experiment_of_twenty() -> None:
    alarms = naive = 0
    for experiment in losses(5, np.random.default_rng(7), NOISES["normal"]):
        comparison = compared(
            {str(arm): [{"eval/loss": v} for v in values] for arm, values in enumerate(experiment)},
            metric="eval/another_loss",  # for no sensitivity is wanted here
        )
        found = verdicts(comparison, "eval/loss")
        assert {v.outcome for v in found} <= {"better", "worse", "same"}
        alarms += any(v.outcome != "same" for v in found)
        rows = comparison.rows("eval/loss")[1:]
        naive += any(r.difference and (r.difference.p_t or 1) < SIGNIFICANCE for r in rows)
    assert alarms / EXPERIMENTS <= 0.05
    assert naive / EXPERIMENTS > 0.1, "without Holm there is something to prevent"


@pytest.mark.parametrize(("seeds", "arms"), [(3, 1), (5, 1), (6, 4)])
def test_a_difference_of_the_detectable_size_is_found_four_times_in_five(
    seeds: int, arms: int
) -> None:
    alpha = SIGNIFICANCE / arms
    shift = detectable_ratio(seeds, alpha)
    draws = np.random.default_rng(3).normal(shift, 1.0, size=(EXPERIMENTS, seeds))
    pairs = [paired_difference(dict(enumerate(d)), dict.fromkeys(range(seeds), 0.0)) for d in draws]
    found = sum(pair is not None and pair.p_t is not None and pair.p_t < alpha for pair in pairs)
    assert found / EXPERIMENTS == pytest.approx(0.8, abs=0.03)


def test_an_experiment_of_as_many_seeds_as_advised_finds_what_it_looks_for() -> None:
    effect, spread = 0.5, 1.0
    pilots = np.random.default_rng(9).normal(0.1, spread, size=(80, SEEDS))
    reached, naive = [], []
    for pilot in pilots:
        advice = sensitivity(estimate(pilot.tolist()), tests=1, effect=effect)
        assert advice is not None and advice.effect == effect
        reached.append(power(effect / spread, advice.seeds or 1000, SIGNIFICANCE))
        # What trusting the measured spread would come to.
        few = seeds_needed(effect / float(np.std(pilot, ddof=1)), SIGNIFICANCE)
        naive.append(power(effect / spread, few or 1000, SIGNIFICANCE))
    assert np.mean(reached) >= 0.8
    assert np.mean(naive) < 0.75
