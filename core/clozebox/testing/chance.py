"""Whether what was counted is too far off to be chance, by bounds that hold for every n.

No normal approximation: where a count is small, and where trials hang together, it would promise
too much.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

ONE_IN = 1e9
"""A component that is right is taken for wrong once in so many questions."""


def is_off(hits: int, trials: int, probability: float) -> bool:
    """Whether ``hits`` of independent ``trials`` are too many or too few for ``probability``.

    By the Chernoff bound exp(-n KL), which no binomial tail exceeds (Hoeffding, 1963, theorem 1).
    """
    if not trials:
        return False
    return math.exp(-trials * _divergence(hits / trials, probability)) < 1 / ONE_IN


def leans(differences: NDArray[np.float64]) -> bool:
    """Whether the sum of independent numbers, each as likely x as -x, is too far from zero.

    Given their sizes their signs are coins, and Hoeffding's inequality holds (1963, theorem 2).
    """
    squares = float(np.square(differences).sum())
    return squares > 0 and differences.sum() ** 2 / (2 * squares) > math.log(2 * ONE_IN)


def straying(values: NDArray[np.float64], width: float) -> float:
    """How far the sum of independent ``values`` may be from what is expected, by chance.

    Each lies in a range of ``width``. By the empirical Bernstein bound, which counts the variance
    that was seen (Maurer and Pontil, 2009, theorem 4).
    """
    log, n = math.log(4 * ONE_IN), len(values)
    variance = float(values.var(ddof=1))
    return math.sqrt(2 * n * variance * log) + 7 * width * log * n / (3 * (n - 1))


def _divergence(seen: float, expected: float) -> float:
    """Kullback-Leibler divergence of two coins, in nats."""
    total = 0.0
    for p, q in ((seen, expected), (1 - seen, 1 - expected)):
        if p > 0:
            total += p * math.log(p / q) if q > 0 else math.inf
    return total
