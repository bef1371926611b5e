"""Whether a count is too far off to be chance."""

from __future__ import annotations

import math

ONE_IN = 1e9
"""A component that is right is taken for wrong once in so many questions."""


def is_off(hits: int, trials: int, probability: float) -> bool:
    """Whether ``hits`` of independent ``trials`` are too many or too few for ``probability``.

    By the Chernoff bound exp(-n KL), which no binomial tail exceeds (Hoeffding, 1963, theorem 1):
    exact for every n, with no normal approximation.
    """
    if not trials:
        return False
    return math.exp(-trials * _divergence(hits / trials, probability)) < 1 / ONE_IN


def _divergence(seen: float, expected: float) -> float:
    """Kullback-Leibler divergence of two coins, in nats."""
    total = 0.0
    for p, q in ((seen, expected), (1 - seen, 1 - expected)):
        if p > 0:
            total += p * math.log(p / q) if q > 0 else math.inf
    return total
