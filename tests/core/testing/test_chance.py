"""What is chance is not called a bias, and a bias is not called chance."""

from __future__ import annotations

import numpy as np
import pytest

from clozebox.testing.chance import leans, straying


@pytest.mark.parametrize("size", [1, 4])
def test_a_lean_is_told_from_chance_whatever_hangs_together(size: int) -> None:
    """A span of four tokens on one side is one coin, and not four."""
    rng = np.random.default_rng(1)
    fair = size * rng.choice([-1.0, 1.0], 4000)
    assert abs(fair.sum()) < 6 * size * np.sqrt(4000)
    assert not leans(fair)
    assert not leans(np.full(20, float(size))), "twenty of twenty happens once in a million"
    assert leans(np.full(50, float(size)))
    assert leans(size * rng.choice([-1.0, 1.0], 4000, p=[0.42, 0.58]))
    assert not leans(np.zeros(10))


def test_a_sum_strays_less_where_less_varies() -> None:
    rng = np.random.default_rng(2)
    exact, coins = np.zeros(5000), rng.binomial(20, 0.2, 5000) - 4.0
    assert straying(exact, width=4) < straying(coins, width=4)
    assert abs(coins.sum()) < straying(coins, width=20) < 0.15 * 4 * 5000
