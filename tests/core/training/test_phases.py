"""One objective after another, and what moves over a run: each at its time, and resumed exactly."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.core.training.outcome import final, interrupt_after, same, told

from clozebox.config.settings import Phase
from clozebox.errors import UserError
from clozebox.training import RunDirectory
from clozebox.training.budget import Plan
from clozebox.training.checkpoint import newest_checkpoint
from clozebox.training.console import Console
from clozebox.training.run import run_training
from clozebox.training.setup import set_up, survey_costs

MakeRun = Callable[..., RunDirectory]
Train = Callable[[RunDirectory], int]

THIRD_THEN_REST: dict[str, Any] = {
    "objectives": ["hidden", "ahead"],
    "phase": [
        {"share": 1 / 3, "objectives": ["ahead"]},
        {"share": 2 / 3, "objectives": ["hidden"]},
    ],
    "train": {"log_every": 1, "evals": 3},
}


@pytest.fixture
def train(registry: Any) -> Train:
    return lambda run: run_training(run, registry, Console())


def learned(run: RunDirectory) -> list[tuple[int, list[str]]]:
    """For each step, which objectives had a loss."""
    lines = [line for line in run.metrics() if "optim/lr" in line]
    names = ("hidden", "ahead", "behind", "pair")
    return [
        (line["step"], [name for name in names if f"train/{name}_loss" in line]) for line in lines
    ]


def test_each_objective_is_learned_from_in_its_phase_alone(make_run: MakeRun, train: Train) -> None:
    run = make_run(**THIRD_THEN_REST)
    assert train(run) == 0
    assert learned(run) == [(step, ["ahead"] if step <= 4 else ["hidden"]) for step in range(1, 13)]
    evaluations = [line for line in run.metrics() if "eval/hidden_loss" in line]
    assert all("eval/ahead_loss" in line for line in evaluations), "all are evaluated all the time"


@pytest.mark.parametrize("steps", [7, 10, 11, 30])
@pytest.mark.parametrize(
    "shares", [(0.1, 0.9), (0.1, 0.1, 0.1, 0.7), (1 / 3, 1 / 3, 1 / 3), (0.7, 0.2, 0.1), (1.0,)]
)
def test_a_phase_begins_with_the_first_step_at_or_behind_its_border(
    make_arm: Callable[..., Any], shares: tuple[float, ...], steps: int
) -> None:
    turns = [["hidden"], ["ahead"], ["behind"], ["hidden", "ahead", "behind"]]
    arm = make_arm(
        objectives=["hidden", "ahead", "behind"],
        phase=[
            {"share": share, "objectives": turns[3 if index == len(shares) - 1 else index]}
            for index, share in enumerate(shares)
        ],
    )
    exact = [Fraction(share).limit_denominator(100) for share in shares]
    for step in range(steps + 1):
        passed = [sum(exact[: index + 1]) <= Fraction(step, steps) for index in range(len(exact))]
        index = min(sum(passed), len(shares) - 1)
        expected = turns[3 if index == len(shares) - 1 else index]
        assert list(arm.objectives_at(step / steps)) == expected, step


def test_without_phases_all_are_learned_from_all_the_time(make_arm: Callable[..., Any]) -> None:
    arm = make_arm(objectives=["hidden", "ahead"])
    assert {arm.objectives_at(progress) for progress in (0.0, 0.5, 1.0)} == {("hidden", "ahead")}


def test_what_no_phase_has_learned_yet_has_its_first_weights_and_no_moments(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch, registry: Any
) -> None:
    run = make_run(**THIRD_THEN_REST)
    first = {
        n: p.detach().clone() for n, p in set_up(run, registry, print).model.named_parameters()
    }
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        assert train(run) == 130
    saved = newest_checkpoint(run.checkpoints)
    assert saved is not None
    weights = load_file(saved / "model.safetensors")
    still = [name for name in first if torch.equal(first[name], weights[name])]
    assert still == [name for name in first if name.startswith("objectives.hidden.")]
    moments = {name.split("/", 1)[1] for name in load_file(saved / "optimizer.safetensors")}
    assert moments == first.keys() - set(still)


@pytest.mark.parametrize(
    "choice",
    [
        THIRD_THEN_REST,
        {**THIRD_THEN_REST, "objective": {"hidden": {"head": None}, "ahead": {"head": "hidden"}}},
        {
            "objectives": ["hidden", "ahead", "behind"],
            "objective": {"hidden": {"share": 0.25}, "ahead": {"share": 0.75}},
            "phase": [
                {"share": 1 / 3, "objectives": ["behind"]},
                {"share": 2 / 3, "objectives": ["hidden", "ahead", "behind"]},
            ],
            "masking": {"name": "toy", "rate": 0.5, "final_rate": 0.1},
        },
    ],
    ids=["two phases", "one head", "a mixture later"],
)
def test_resuming_in_any_phase_and_at_its_border_is_exact_to_the_bit(
    make_run: MakeRun, train: Train, choice: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = {**choice, "encoder": {"name": "toy", "dropout": 0.1}}
    unbroken = make_run("unbroken", **choice)
    assert train(unbroken) == 0
    for stop_after in (2, 3, 4, 5, 9):  # the second phase begins with step 5
        broken = make_run(f"broken-{stop_after}", **choice)
        with monkeypatch.context() as patch:
            interrupt_after(patch, stop_after)
            assert train(broken) == 130
        assert train(broken) == 0
        assert same(final(unbroken), final(broken)), f"stopped after step {stop_after}"
        assert told(unbroken) == told(broken), f"stopped after step {stop_after}"


@pytest.mark.parametrize("first", [0.2, 0.5, 0.9])
def test_phases_of_different_cost_spend_a_flops_budget_within_a_step(
    make_run: MakeRun, train: Train, registry: Any, first: float
) -> None:
    phases = [
        {"share": first, "objectives": ["ahead"]},
        {"share": 1 - first, "objectives": ["hidden", "behind"]},
    ]
    choice: dict[str, Any] = {"objectives": ["hidden", "behind", "ahead"], "phase": phases}
    step = survey_costs(set_up(make_run("survey", **choice), registry, print)).flops
    run = make_run("run", **choice, budget={"flops": 30.4 * step, "steps": None})
    assert train(run) == 0
    last = run.metrics()[-1]
    assert last["step"] == 30
    # A step of the second phase costs about twice one of the first.
    assert last["flops"] == pytest.approx(30.4 * step, abs=1.5 * step)


def test_a_falling_rate_falls_over_the_run_and_leaves_the_evaluation_alone(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    import clozebox.evaluation.losses as losses
    import clozebox.training.loop as loop

    trained: list[int] = []
    evaluated: list[int] = []
    step, count = loop.train_step, losses.count_targets

    def counted_step(*parts: Any) -> Any:
        sums = step(*parts)
        trained.append(int(sums.counts["hidden"]))
        return sums

    def counted_evaluation(readers: Any) -> Any:
        counts = count(readers)
        evaluated.append(int(counts["hidden"]))
        return counts

    monkeypatch.setattr(loop, "train_step", counted_step)
    monkeypatch.setattr(losses, "count_targets", counted_evaluation)
    run = make_run(
        masking={"name": "toy", "rate": 0.7, "final_rate": 0.1},
        train={"evals": 3, "batch_size": 12},
    )
    assert train(run) == 0
    assert all(later < earlier for earlier, later in zip(trained, trained[3:], strict=False))
    assert trained[0] > 4 * trained[-1]
    third = len(evaluated) // 3
    assert evaluated[:third] == evaluated[third : 2 * third] == evaluated[2 * third :]


@pytest.mark.parametrize(("steps", "fits"), [(3, False), (10, True), (11, True), (None, True)])
def test_a_phase_without_a_step_is_refused(steps: int | None, fits: bool) -> None:
    phases = [Phase(share=share, objectives=("hidden",)) for share in (0.1, 0.1, 0.8)]
    plan = Plan(steps, None if steps else 1.0)
    if fits:
        plan.require_a_step_each(phases)
    else:
        with pytest.raises(UserError, match="phase 2 has no step"):
            plan.require_a_step_each(phases)
