"""Statistics for a handful of seeds: t intervals, paired differences, sign flips, Holm.

With five seeds the percentile bootstrap covers the truth about 82 % of the time where it promises
95 %; Student's t interval keeps its promise, so it is the one used here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
"""Of the Holm-adjusted p: arms together raise a false alarm at most this often."""
MAX_SIGN_FLIP_SEEDS = 12


@dataclass(frozen=True)
class Interval:
    """From ``low`` to ``high``, both included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds; with one seed there is neither a spread nor an interval."""

    n: int
    mean: float
    std: float | None
    interval: Interval | None

    @property
    def half_width(self) -> float | None:
        return None if self.interval is None else (self.interval.high - self.interval.low) / 2


@dataclass(frozen=True)
class PairedDifference:
    """An arm minus the baseline, seed by seed, over the seeds that both of them finished."""

    by_seed: dict[int, float]
    estimate: Estimate
    p_t: float | None
    """Two-sided p of the paired t test; None with one seed."""
    p_sign_flip: float | None
    """Exact two-sided p over all sign flips; None above 12 seeds. Never below 2 / 2^n."""


def sample_std(values: Sequence[float]) -> float:
    """The standard deviation with n - 1 in the denominator."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def estimate(values: Sequence[float]) -> Estimate:
    """Mean, sample standard deviation and 95 % t interval of at least one value."""
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return Estimate(1, mean, None, None)
    std = sample_std(values)
    half = t_quantile((1 + CONFIDENCE) / 2, n - 1) * std / math.sqrt(n)
    return Estimate(n, mean, std, Interval(mean - half, mean + half))


def paired_difference(
    arm: Mapping[int, float], baseline: Mapping[int, float]
) -> PairedDifference | None:
    """Compare two {seed: value} tables on the seeds they share; None when they share none."""
    by_seed = {seed: arm[seed] - baseline[seed] for seed in sorted(arm.keys() & baseline.keys())}
    if not by_seed:
        return None
    differences = list(by_seed.values())
    found = estimate(differences)
    return PairedDifference(by_seed, found, _t_test(found), sign_flip_p(differences))


def _t_test(found: Estimate) -> float | None:
    if found.std is None:
        return None
    if found.std == 0:
        return 1.0 if found.mean == 0 else 0.0
    t = found.mean / (found.std / math.sqrt(found.n))
    return 1 - t_central_probability(abs(t), found.n - 1)


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Two-sided p that the differences are symmetric about zero, over all 2^n sign flips."""
    if not 2 <= len(differences) <= MAX_SIGN_FLIP_SEEDS:
        return None
    observed = abs(math.fsum(differences))
    slack = 1e-12 * math.fsum(abs(d) for d in differences)
    first, *others = differences
    # Flipping all signs changes no size of a sum, so the first may keep its own.
    flips = itertools.product(*((d, -d) for d in others))
    extreme = sum(abs(math.fsum((first, *flip))) >= observed - slack for flip in flips)
    return float(extreme / 2 ** len(others))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: bounds the chance of any false alarm."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, floor = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = floor
    return adjusted


@lru_cache(maxsize=4096)
def t_quantile(p: float, df: int) -> float:
    """The t below which a share ``p`` of Student's distribution with ``df`` degrees lies."""
    if not 0 < p < 1 or df < 1:
        raise ValueError(f"t_quantile needs 0 < p < 1 and df >= 1, got p={p}, df={df}")
    if p < 0.5:
        return -t_quantile(1 - p, df)
    central = 2 * p - 1
    low, high = 0.0, math.pi / 2  # bisect the angle, which is bounded where t is not
    while low < (middle := (low + high) / 2) < high:
        if _central_probability(middle, df) < central:
            low = middle
        else:
            high = middle
    return math.sqrt(df) * math.tan(low)


def t_central_probability(t: float, df: int) -> float:
    """P(-t < T < t) for Student's T with ``df`` degrees of freedom and t >= 0."""
    return _central_probability(math.atan(t / math.sqrt(df)), df)


def _central_probability(angle: float, df: int) -> float:
    """The finite series of Abramowitz & Stegun (1964), 26.7.3 (df odd) and 26.7.4 (df even)."""
    if df == 1:
        return 2 * angle / math.pi
    odd = df % 2
    cosine = math.cos(angle)
    term = cosine if odd else 1.0
    total = term
    for k in range(2 + odd, df, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    total *= math.sin(angle)
    return 2 * (angle + total) / math.pi if odd else total
