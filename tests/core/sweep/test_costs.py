"""What a dry run foretells is what training then spends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clozebox.config.settings import Experiment, Sweep
from clozebox.errors import UserError
from clozebox.sweep import Workspace
from clozebox.sweep.costs import ArmCost, cost_of, what_same_steps_hide
from clozebox.training.budget import StepCost
from clozebox.training.console import Console
from clozebox.training.run import run_training

Make = Callable[..., Any]


@pytest.fixture
def cost(registry: Any, cache: Path, tmp_path: Path, monkeypatch: Any) -> Callable[[Any], ArmCost]:
    monkeypatch.setattr("clozebox.sweep.costs.WARM_UP_SECONDS", 0.0)

    def cost(arm: Any) -> ArmCost:
        asked = Experiment("toy", "?", tmp_path / "toy.toml", "", (arm,), (0,), Sweep(), {})
        workspace = Workspace(asked, registry, runs=tmp_path / "runs", cache=cache)
        found = cost_of(workspace, arm, 0, lambda line: None)
        assert not (tmp_path / "runs").exists()
        return found

    return cost


@pytest.mark.parametrize(
    "budget", [{"flops": 8e7}, {"tokens": 1500.0}, {"predictions": 300.0}, {"steps": 7}]
)
def test_a_run_takes_the_steps_and_the_flops_that_were_foretold(
    make_arm: Make, make_run: Make, registry: Any, cost: Any, budget: dict[str, float]
) -> None:
    # A scaled-down batch is timed, and it is not the batch that is counted.
    choice = {"budget": {"steps": None, **budget}, "speed": {"micro_batch_size": 5}}
    told = cost(make_arm(**choice))
    run = make_run(**choice)
    assert run_training(run, registry, Console()) == 0
    last = run.metrics()[-1]
    assert told.steps == run.status()["steps"] == last["step"] > 1
    assert told.flops == pytest.approx(last["flops"], rel=0.05)
    assert told.steps * told.step.tokens == pytest.approx(last["tokens"], rel=0.05)
    assert 0 < told.seconds < 60


def test_a_budget_of_seconds_is_told_in_steps_by_the_time_of_one(make_arm: Make, cost: Any) -> None:
    told = cost(make_arm(budget={"steps": None, "seconds": 30.0}))
    assert told.steps == pytest.approx(30.0 / told.step_seconds, rel=0.05, abs=1)


def test_a_budget_below_one_step_is_refused(make_arm: Make, cost: Any) -> None:
    with pytest.raises(UserError, match="too little"):
        cost(make_arm(budget={"steps": None, "flops": 5.0}))


def test_what_the_same_steps_would_have_hidden(make_arm: Make) -> None:
    def arm_cost(name: str, each: float, **budget: float) -> ArmCost:
        arm = replace(make_arm(budget={"steps": None, **budget}), name=name)
        return ArmCost(arm, StepCost(each, 50.0, {"hidden": 9.0}), 0.1, 0.1, "cpu")

    costs = [arm_cost("a", 100.0, flops=1e4), arm_cost("b", 170.0, flops=1e4)]
    assert costs[1].steps == 59
    assert what_same_steps_hide(costs) == [
        "at the same steps b would have spent 1.70x the FLOPs of a"
    ]
    same = [arm_cost("a", 100.0, steps=10), arm_cost("b", 101.0, steps=10)]
    assert what_same_steps_hide(same) == []
    (told,) = what_same_steps_hide([same[0], arm_cost("c", 50.0, steps=10)])
    assert told == "this budget is one of steps: c spends 0.50x the FLOPs of a"
