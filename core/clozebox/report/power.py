"""How small a difference so many seeds can find, and how many seeds the next experiment needs.

The paired t test at the significance that Holm asks of the smallest of several p: its power is
exact, an integral over the spread that the seeds happen to have, not a normal approximation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from clozebox.report.statistics import SIGNIFICANCE, Estimate, t_quantile

POWER = 0.8
"""A difference is findable when four experiments in five find it."""
DOUBT = 0.2
"""A spread measured on few seeds is often too small: plans assume one that is exceeded this
rarely (Browne, 1995), or half of them would find nothing."""
MOST_SEEDS = 1000
PANELS = 400


@dataclass(frozen=True)
class Sensitivity:
    """What the paired seeds of one arm can tell, and what it would take to tell more."""

    detectable: float
    """The smallest true difference that four in five such experiments find."""
    effect: float
    """The size of difference that ``seeds`` is about."""
    seeds: int | None
    """Paired seeds that the next experiment needs to find it; None above ``MOST_SEEDS``."""


def sensitivity(difference: Estimate, tests: int, effect: float | None) -> Sensitivity | None:
    """For a mean paired difference among ``tests`` comparisons; None where no spread is known.

    ``effect`` is the smallest difference that matters; without it, the one that was seen.
    """
    if not difference.std:
        return None
    alpha = SIGNIFICANCE / max(tests, 1)
    wanted = abs(difference.mean) if effect is None else effect
    cautious = difference.std * spread_allowance(difference.n - 1)
    return Sensitivity(
        detectable=difference.std * detectable_ratio(difference.n, alpha),
        effect=wanted,
        seeds=seeds_needed(wanted / cautious, alpha),
    )


@lru_cache
def detectable_ratio(n: int, alpha: float) -> float:
    """The smallest difference that ``n`` pairs find, in standard deviations of the differences."""
    low, high = 0.0, 1.0
    while power(high, n, alpha) < POWER:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, n, alpha) < POWER else (low, middle)
    return high


@lru_cache(maxsize=4096)
def seeds_needed(ratio: float, alpha: float) -> int | None:
    """The fewest pairs that find a difference of ``ratio`` standard deviations.

    None above MOST_SEEDS.
    """
    normal = NormalDist()
    # The normal approximation asks for too few, by two or three: begin there and count up.
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(POWER)
    if ratio <= 0 or (first := (reach / ratio) ** 2) > MOST_SEEDS:
        return None
    found = range(max(2, math.floor(first)), MOST_SEEDS + 1)
    return next((n for n in found if power(ratio, n, alpha) >= POWER), None)


def power(ratio: float, n: int, alpha: float) -> float:
    """How often a two-sided paired t test of ``n`` pairs at ``alpha`` finds a true difference.

    ``ratio`` is that difference in standard deviations of the differences. Student's t around it is
    (Z + shift) / S, with S the measured spread over the true one: given S, a normal probability.
    """
    critical, shift = t_quantile(1 - alpha / 2, n - 1), ratio * math.sqrt(n)
    cumulative = NormalDist().cdf
    return math.fsum(
        weight * (cumulative(shift - critical * s) + cumulative(-shift - critical * s))
        for s, weight in _spreads(n - 1)
    )


@lru_cache
def spread_allowance(df: int) -> float:
    """By what a measured spread is multiplied so that the true one is larger only rarely."""
    below = 0.0
    for s, weight in _spreads(df, panels=10 * PANELS):
        below += weight
        if below >= DOUBT:
            return 1 / s
    raise AssertionError("the weights of a distribution sum to one")


def _spreads(df: int, panels: int = PANELS) -> Iterator[tuple[float, float]]:
    """Measured over true spread of ``df`` + 1 normal values, with its probability: midpoints."""
    width = 9 / math.sqrt(df)
    low = max(0.0, 1 - width)
    step = (1 + width - low) / panels
    log_scale = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2)
    for panel in range(panels):
        s = low + (panel + 0.5) * step
        yield s, step * math.exp(log_scale + (df - 1) * math.log(s) - df * s * s / 2)
