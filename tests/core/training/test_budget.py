"""What a step costs is counted, and the count is torch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clozebox.config.settings import Budget
from clozebox.errors import UserError
from clozebox.training.budget import Plan, Spent, StepCost
from clozebox.training.console import Console
from clozebox.training.setup import set_up, survey_costs
from clozebox.training.step import train_step

COST = StepCost(body=100.0, per_target={"a": 3.0}, targets={"a": 10.0}, tokens=50.0)


@pytest.mark.parametrize(
    "choice",
    [
        {"objectives": ["hidden"]},
        {"objectives": ["hidden", "pair"]},
        {"objectives": ["ahead", "behind"], "masking": "none"},
    ],
    ids=["hidden", "hidden+pair", "both sides"],
)
def test_the_count_of_a_step_is_that_of_torchs_counter(
    make_run: Callable[..., Any], registry: Any, choice: dict[str, Any]
) -> None:
    training = set_up(make_run(**choice), registry, Console().say)
    cost = survey_costs(training)
    # The CPU's fused attention is not in torch's table; the plain one is.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        sums = train_step(training, training.batches(0))
    ours = cost.flops(1, {name: count.item() for name, count in sums.counts.items()})
    # Torch counts no backward into the embedded tokens' inputs: there is none.
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_flops_and_tokens_become_steps() -> None:
    assert Plan.of(Budget(flops=1300.0), COST).steps == 10
    assert Plan.of(Budget(tokens=400.0), COST).steps == 8
    assert Plan.of(Budget(steps=7), COST).steps == 7
    assert Plan.of(Budget(seconds=3.0), COST).steps is None


@pytest.mark.parametrize("budget", [Budget(flops=50.0), Budget(tokens=20.0)])
def test_a_budget_below_one_step_is_refused_and_not_overspent(budget: Budget) -> None:
    with pytest.raises(UserError, match="one step costs"):
        Plan.of(budget, COST)


def test_progress_goes_from_nothing_to_one() -> None:
    plan = Plan.of(Budget(steps=4), COST)
    assert [plan.progress(Spent(step=step)) for step in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    timed = Plan.of(Budget(seconds=2.0), COST)
    assert timed.progress(Spent(seconds=0.5)) == 0.25
    assert timed.progress(Spent(seconds=9.0)) == 1
