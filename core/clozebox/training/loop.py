"""The loop: fetch, forward and backward, update, log, evaluate, save, stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from clozebox.config.settings import Train
from clozebox.evaluation import EVALUATION_SEED, EvaluationTask, Yardsticks
from clozebox.training.budget import Clock, Plan, Spent
from clozebox.training.meter import Meter
from clozebox.training.micro_batch import fitted
from clozebox.training.optimizer import lr_at
from clozebox.training.record import Record
from clozebox.training.seeds import seed_globals
from clozebox.training.setup import Training
from clozebox.training.step import StepSums, train_step
from clozebox.training.stopping import StopRequest


class Diverged(Exception):
    """A loss or a gradient was not finite; the weights are those from before that step."""


@dataclass(eq=False)
class Progress:
    """How far the run is, and of what."""

    spent: Spent
    plan: Plan
    meter: Meter

    @property
    def share(self) -> float:
        return self.plan.progress(self.spent)


@dataclass(frozen=True)
class Due:
    """What is to be done after a step; false when it is nothing."""

    logs: bool
    evaluates: bool
    saves: bool

    @classmethod
    def at(cls, settings: Train, step: int, before: float, now: float) -> Due:
        """After step ``step``, which took the budget spent from the share ``before`` to ``now``."""
        return cls(
            logs=now == 1 or step % settings.log_every == 0,
            evaluates=int(settings.evals * now) > int(settings.evals * before),
            saves=now == 1 or step % settings.checkpoint_every == 0,
        )

    def __bool__(self) -> bool:
        return self.logs or self.evaluates or self.saves


@dataclass(frozen=True)
class Keeping:
    """How a run is kept, so that it can be taken up again."""

    save: Callable[[], None]
    """Takes hold of everything as it is now, and begins to write it."""
    wait: Callable[[], None]
    """Until that is on the disk."""


def train(
    training: Training,
    progress: Progress,
    yardsticks: Yardsticks,
    record: Record,
    keeping: Keeping,
    stop: StopRequest,
) -> dict[str, float] | None:
    """Train to the end of the budget and return the last evaluation; None when asked to stop.

    Raises:
        Diverged: found at the first log point after a non-finite step, before anything is saved.
    """
    arm, spent, meter = training.arm, progress.spent, progress.meter
    result: dict[str, float] = {}
    world = training.world
    # Where time is the budget, ranks must agree on how much of it is spent.
    clock = Clock(spent, float if progress.plan.seconds is None else world.largest)
    while (before := progress.share) < 1:
        lr = lr_at(before, arm.optim)
        training.optimizer.set_lr(lr)
        meter.add(fitted(training, partial(_step, training, spent.step, before)))
        spent.step += 1
        clock.tick()
        stop.agree(world)

        if not (Due.at(arm.train, spent.step, before, progress.share) or stop.agreed):
            continue  # the device is not waited for

        settle(training, progress)
        clock.tick()  # that wait was training too, and may have reached the end of the budget
        now = progress.share
        due = Due.at(arm.train, spent.step, before, now)
        with clock.paused():
            if due.logs:
                record.log(spent, meter.take(), lr)
            saves = due.saves or stop.agreed is not None
            # The last step is kept before it is evaluated, so that a stop in the middle of that
            # costs no step. Of any other step a resumed run would not make up for the evaluation.
            if saves and now == 1:
                _keep(record, keeping)
            if due.evaluates:
                with stop.during(partial(record.finishes_evaluation, spent)):
                    result = evaluate(training, yardsticks.due(now))
                record.log_evaluation(spent, result)
            if saves and now < 1:
                _keep(record, keeping, waits=stop.agreed is not None)
            world.wait()  # for rank 0, which does all of this
        if stop.agreed and now < 1:
            return None
    if not result:  # stopped after its last step, and taken up again
        with stop.during(partial(record.finishes_evaluation, spent)):
            result = evaluate(training, yardsticks.due(1))
        if not _is_on_record(training, spent.step, result):
            record.log_evaluation(spent, result)
    record.sync()
    return result


def _keep(record: Record, keeping: Keeping, waits: bool = True) -> None:
    record.sync()
    keeping.save()
    if waits:  # in the middle of a run training goes on meanwhile
        keeping.wait()


def _is_on_record(training: Training, step: int, metrics: Mapping[str, float]) -> bool:
    lines = training.run.metrics()
    return any(line["step"] == step and not metrics.keys().isdisjoint(line) for line in lines)


def _step(training: Training, step: int, progress: float) -> StepSums:
    """Optimizer step ``step``, when ``progress`` of the budget is spent: a function of these."""
    world = training.world
    # Each rank drops out on its own, as each micro-batch does.
    seed_globals(training.seed, "step", step, *world.own_draws)
    objectives = training.model.named(training.arm.objectives_at(progress))
    return train_step(training, objectives, training.batches(step, progress, world))


def settle(training: Training, progress: Progress) -> None:
    """Bring what was summed since the last time to the host, and add up what was spent."""
    new = progress.meter.settle(training.world)
    if training.optimizer.refused:
        raise Diverged(
            f"a loss or gradient was not finite by step {progress.spent.step}; from that step on "
            "no update was made. A lower optim.lr or a longer optim.warmup usually helps"
        )
    progress.spent.tokens += int(new["tokens"])
    progress.spent.flops += new["flops"]


def evaluate(training: Training, tasks: Sequence[EvaluationTask]) -> dict[str, float]:
    """Every yardstick on the model as it is; training goes on as if nothing had been asked."""
    if training.parts is None and not training.world.is_main:
        return {}  # whole weights need no other rank
    seed_globals(EVALUATION_SEED, "evaluation")
    training.model.eval()
    found: dict[str, float] = {}
    for task in tasks:
        metrics = training.looking(partial(task.evaluate, training.model, training.held_out))
        found |= {f"eval/{name}": value for name, value in metrics.items()}
    training.model.train()
    return found
