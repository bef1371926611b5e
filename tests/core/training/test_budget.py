"""What a step costs is counted, and the count is torch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch.utils.flop_counter import FlopCounterMode

from clozebox.config.settings import Budget
from clozebox.errors import UserError
from clozebox.training.budget import Plan, Spent, StepCost
from clozebox.training.console import Console
from clozebox.training.setup import set_up, survey_costs
from clozebox.training.step import train_step

SHARES = {"hidden": {"share": 0.5}, "ahead": {"share": 0.3}, "behind": {"share": 0.2}}
COST = StepCost(flops=130.0, tokens=50.0, targets={"a": 10.0})


@pytest.mark.parametrize(
    "choice",
    [
        {"objectives": ["hidden"]},
        {"objectives": ["hidden", "pair"]},
        {"objectives": ["ahead", "behind"], "masking": "none"},
        {"objectives": ["hidden", "ahead", "behind"], "objective": SHARES},
        {"objectives": ["hidden", "ahead"], "objective": {"ahead": {"share": 0.5}}},
        {"masking": {"name": "toy", "rate": 0.3, "corruption_rate": 0.5}},
    ],
    ids=["hidden", "hidden+pair", "both sides", "mixture", "part of a mixture", "two rates"],
)
def test_the_count_of_a_step_is_that_of_torchs_counter(
    make_run: Callable[..., Any], registry: Any, choice: dict[str, Any]
) -> None:
    training = set_up(make_run(**choice), registry, Console().say)
    cost = survey_costs(training)
    # What is counted is what the plain encoder does, padding included: a number that does not hang
    # on how a machine leaves padding out.
    training.model.encoder.leaves_out_unread = False
    with FlopCounterMode(display=False) as counter:
        sums = train_step(training, training.model.each_objective(), training.batches(0))
    assert sums.flops.item() == pytest.approx(cost.flops, rel=0.05)  # the average step
    # Torch counts no backward into the embedded tokens' inputs: there is none.
    assert sums.flops.item() == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_an_average_step_of_phases_weighs_each_by_its_share() -> None:
    first = StepCost(flops=100.0, tokens=50.0, targets={"a": 10.0})
    second = StepCost(flops=300.0, tokens=50.0, targets={"a": 2.0, "b": 8.0})
    average = StepCost.average([first, second], [0.25, 0.75])
    assert (average.flops, average.tokens) == (250.0, 50.0)
    assert average.targets == {"a": 4.0, "b": 6.0}


def test_each_phase_is_surveyed_with_its_own_objectives(
    make_run: Callable[..., Any], registry: Any
) -> None:
    def cost(**choice: Any) -> StepCost:
        return survey_costs(set_up(make_run(str(choice), **choice), registry, Console().say))

    ahead = cost(objectives=["ahead"], masking="none")
    both = cost(objectives=["hidden", "behind"])
    phases = [
        {"share": 0.25, "objectives": ["ahead"]},
        {"share": 0.75, "objectives": ["hidden", "behind"]},
    ]
    found = cost(objectives=["hidden", "behind", "ahead"], phase=phases)
    assert found == StepCost.average([ahead, both], [0.25, 0.75])
    assert ahead.flops < 0.8 * both.flops, "or the shares would not show"


def test_a_rate_that_moves_costs_its_mean(make_run: Callable[..., Any], registry: Any) -> None:
    def cost(**masking: float) -> StepCost:
        run = make_run(str(masking), masking={"name": "toy", **masking})
        return survey_costs(set_up(run, registry, Console().say))

    falling = cost(rate=0.6, final_rate=0.2)
    constant = [cost(rate=rate) for rate in (0.2, 0.4, 0.6)]
    targets = [one.targets["hidden"] for one in constant]
    assert falling.targets["hidden"] == pytest.approx(targets[1], rel=0.05)
    assert targets[0] < 0.7 * targets[1]
    assert falling.flops == pytest.approx(constant[1].flops, rel=0.01)


def test_how_a_batch_is_cut_does_not_change_what_a_step_costs(
    make_run: Callable[..., Any], registry: Any
) -> None:
    choice: dict[str, Any] = {"objectives": ["hidden", "ahead", "behind"], "objective": SHARES}
    whole, parts = (
        survey_costs(set_up(make_run(name, speed=speed, **choice), registry, Console().say))
        for name, speed in (("whole", {}), ("parts", {"micro_batch_size": 1}))
    )
    assert whole == parts


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
