"""What each arm will cost, told before anything is trained: FLOPs are counted, time is measured."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from clozebox.config.settings import Arm
from clozebox.errors import UserError
from clozebox.sweep.workspace import Workspace
from clozebox.training import RunDirectory

if TYPE_CHECKING:
    from clozebox.training.budget import StepCost
    from clozebox.training.setup import Training

WARM_UP_SECONDS = 2.0
"""How long an arm is timed for, at least two steps."""
LONGEST_STEP = 1.0
"""Of a batch whose step takes longer only a part is timed, and the rest counted by its FLOPs."""
SAME = 0.02
"""A difference in cost below this is none."""


@dataclass(frozen=True)
class ArmCost:
    """One run of an arm."""

    arm: Arm
    step: StepCost
    """An average step."""
    step_seconds: float
    evaluation_seconds: float
    """One look at the held-out data, with what is measured each time."""
    device: str

    @property
    def steps(self) -> int:
        """Of the budget; of one in seconds, about as many as will fit.

        Raises:
            UserError: the budget does not come to one step.
        """
        from clozebox.training.budget import Plan

        plan = Plan.of(self.arm.budget, self.step)
        return plan.steps or max(1, round((plan.seconds or 0.0) / self.step_seconds))

    @property
    def flops(self) -> float:
        return self.steps * self.step.flops

    @property
    def seconds(self) -> float:
        """Training and evaluation; not what is only measured at the end of the budget."""
        return self.steps * self.step_seconds + self.arm.train.evals * self.evaluation_seconds


def cost_of(workspace: Workspace, arm: Arm, seed: int, say: Callable[[str], None]) -> ArmCost:
    """Prepare an arm as if to train it, count its steps and time a few.

    Nothing is kept but the prepared tokens, which training would make as well.

    Raises:
        UserError: the arm cannot be trained, or not on this machine.
    """
    from clozebox.training.budget import Plan
    from clozebox.training.setup import set_up, survey_costs

    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory.create(
            Path(folder) / "run",
            experiment=workspace.experiment,
            arm=arm,
            seed=seed,
            cache=workspace.cache,
            plugins=workspace.plugins,
            disabled=workspace.disabled,
        )
        training = set_up(run, workspace.registry, say)
    cost = survey_costs(training)
    Plan.of(arm.budget, cost).require_a_step_each(arm.phases)
    rate = _seconds_for_a_flop(training)
    return ArmCost(
        arm,
        cost,
        step_seconds=cost.flops * rate,
        evaluation_seconds=_evaluation_seconds(training),
        device=str(training.numerics.device),
    )


def what_same_steps_hide(costs: Sequence[ArmCost]) -> list[str]:
    """What a comparison at the same number of steps would not show, against the first arm."""
    first, lines = costs[0], []
    by_steps = first.arm.budget.steps is not None
    for cost in costs[1:]:
        ratio = cost.step.flops / first.step.flops
        if abs(ratio - 1) < SAME:
            continue
        told = f"{ratio:.2f}x the FLOPs of {first.arm.name}"
        if by_steps:
            lines.append(f"this budget is one of steps: {cost.arm.name} spends {told}")
        else:
            lines.append(f"at the same steps {cost.arm.name} would have spent {told}")
    return lines


def _seconds_for_a_flop(training: Training) -> float:
    """From steps on as much of a batch as is quickly done: all of it where a step is short."""
    from clozebox.training.budget import cost_of_step
    from clozebox.training.step import train_step

    arm = training.arm
    objectives = training.model.named(arm.objectives_at(0.0))
    most = arm.speed.micro_batch(arm.train.batch_size)

    def seconds_of(rows: int) -> float:
        batch = training.batch(0, rows)
        return _timed(training, lambda: train_step(training, objectives, [batch]))

    rows, begun = min(most, 4), time.perf_counter()
    while True:
        seconds_of(rows)  # the first is slower
        timed = [seconds_of(rows)]
        if rows == most or timed[0] * min(8, most / rows) > LONGEST_STEP:
            break
        rows = min(most, rows * 8)
    while time.perf_counter() - begun < WARM_UP_SECONDS:
        timed.append(seconds_of(rows))
    flops = cost_of_step(training.model, objectives, [training.batch(0, rows)]).flops
    return median(timed) / flops


def _evaluation_seconds(training: Training) -> float:
    from clozebox.evaluation import Yardsticks
    from clozebox.training.loop import evaluate

    tasks = Yardsticks.of(training.arm.evaluations).due(0.5)
    return _timed(training, lambda: evaluate(training, tasks))


def _timed(training: Training, work: Callable[[], object]) -> float:
    """Seconds until the device is through with it.

    Raises:
        UserError: it does not fit into memory.
    """
    import torch

    begun = time.perf_counter()
    try:
        work()
        if training.numerics.device.type == "cuda":
            torch.cuda.synchronize()
    except (torch.OutOfMemoryError, MemoryError) as error:
        told = f"arm '{training.arm.name}' does not fit into memory: {error}"
        raise UserError(f"{told}; a smaller speed.micro_batch_size gives the same result") from None
    return time.perf_counter() - begun
