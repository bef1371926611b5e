"""What a difference is worth: against the floor, for each FLOP, and in FLOPs saved."""

from __future__ import annotations

import math

import pytest
from tests.core.report.in_memory import compared

from clozebox.report.efficiency import Efficiency
from clozebox.report.sections import efficiency_table

STEEP = [5.0, 4.0, 3.0, 2.0]  # evaluations at a quarter, a half, ... of the FLOPs
FLAT = [5.0, 4.5, 4.0, 3.5]


def worth(**arms: list[dict[str, object]]) -> Efficiency:
    found = compared(arms).rows("eval/loss")[1].efficiency
    assert found is not None
    return found


def test_a_better_arm_needs_the_flops_at_which_it_is_as_good_as_the_baseline_ends() -> None:
    base = [{"eval/loss": FLAT, "flops": 8e9}] * 2
    arm = [{"eval/loss": STEEP, "flops": 8e9}, {"eval/loss": STEEP, "flops": 4e9}]
    ratio = worth(base=base, arm=arm).flops_ratio
    assert ratio is not None and ratio.n == 2
    # 3.5 lies half-way between the second evaluation (4.0) and the third (3.0): 0.625 of its FLOPs.
    assert ratio.value == pytest.approx(math.sqrt(0.625 * 0.3125))
    assert ratio.interval is not None
    assert ratio.interval.low < ratio.value < ratio.interval.high


def test_a_worse_arm_needs_as_many_times_more_as_the_baseline_needs_for_it() -> None:
    base = [{"eval/loss": STEEP, "flops": 8e9}] * 2
    arm = [{"eval/loss": FLAT, "flops": 8e9}] * 2
    ratio = worth(base=base, arm=arm).flops_ratio
    assert ratio is not None and ratio.value == pytest.approx(1 / 0.625)
    rising = {"eval/accuracy": [0.1, 0.2, 0.3, 0.4], "flops": 8e9}
    slow = {"eval/accuracy": [0.05, 0.1, 0.15, 0.2], "flops": 8e9}
    comparison = compared({"base": [rising] * 2, "arm": [slow] * 2}, metric="eval/accuracy")
    found = comparison.rows("eval/accuracy")[1].efficiency
    assert found is not None and found.flops_ratio is not None
    assert found.flops_ratio.value == pytest.approx(2.0)
    # From 0.4 to 0.2 for 8e9 FLOPs: points are hundredths.
    assert found.per_flop == pytest.approx(-20 / 8e9)


def test_an_arm_that_is_good_enough_when_first_seen_is_given_all_the_flops_until_then() -> None:
    base = [{"eval/loss": [9.0, 6.0], "flops": 2e9}] * 2
    arm = [{"eval/loss": [5.0, 4.0], "flops": 2e9}] * 2
    ratio = worth(base=base, arm=arm).flops_ratio
    assert ratio is not None and ratio.value == pytest.approx(0.5)


def test_a_loss_with_a_floor_is_told_in_shares_of_the_excess() -> None:
    base = [{"eval/x_loss": 3.0, "eval/x_floor": 2.0, "flops": 1e9}] * 2
    arm = [{"eval/x_loss": 2.9 + 0.01 * i, "eval/x_floor": 2.0, "flops": 1e9} for i in range(2)]
    comparison = compared({"base": base, "arm": arm}, metric="eval/x_loss")
    found = comparison.rows("eval/x_loss")[1].efficiency
    assert found is not None and found.of_excess == pytest.approx(-0.095)
    table = efficiency_table(comparison)
    assert table is not None
    assert table.header[-1] == "of the excess" and table.rows[0][-1] == "-9.5%"


def test_where_no_floor_and_no_flops_are_known_nothing_is_made_up() -> None:
    comparison = compared({a: [{"eval/loss": v} for v in (3.0, 3.1)] for a in ("base", "arm")})
    found = comparison.rows("eval/loss")[1].efficiency
    assert found == Efficiency(of_excess=None, per_flop=None, flops_ratio=None)
    table = efficiency_table(comparison)
    assert table is not None and "of the excess" not in table.header
