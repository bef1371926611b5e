"""What a run may spend, how much of it is spent, and what a step costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from clozebox.config.settings import Arm, Budget
from clozebox.errors import UserError
from clozebox.model import FORWARD_AND_BACKWARD, head_flops
from clozebox.pretraining.batch import Batch
from clozebox.pretraining.model import PretrainingModel
from clozebox.pretraining.passes import add_up, count_targets, passes_of


@dataclass
class Spent:
    """How far a run has come. ``seconds`` are of training alone, without evaluation."""

    step: int = 0
    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def as_metrics(self) -> dict[str, int | float]:
        return asdict(self)


class Clock:
    """Adds the seconds of training to ``spent``."""

    def __init__(self, spent: Spent) -> None:
        self._spent = spent
        self._last = time.perf_counter()

    def tick(self) -> None:
        now = time.perf_counter()
        self._spent.seconds += now - self._last
        self._last = now

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens inside: evaluation, saving."""
        self.tick()
        yield
        self._last = time.perf_counter()


@dataclass(frozen=True)
class StepCost:
    """What an optimizer step costs: training FLOPs, counted and never timed."""

    body: float
    """FLOPs of the encoder passes of one step."""
    per_target: Mapping[str, float]
    """FLOPs of a head for one of its targets, by term."""
    targets: Mapping[str, float]
    """Targets of an average step, by term."""
    tokens: float
    """Real tokens of an average step."""

    def flops(self, steps: float, targets: Mapping[str, float]) -> float:
        """FLOPs of ``steps`` steps that had these ``targets`` in all."""
        heads = sum(cost * targets[name] for name, cost in self.per_target.items())
        return steps * self.body + heads

    @property
    def flops_per_step(self) -> float:
        return self.flops(1, self.targets)


def survey(model: PretrainingModel, batches: Sequence[Batch], arm: Arm) -> StepCost:
    """The average cost of a step, counted on the run's own first batches, one for each step."""
    passes = [passes_of(model, batch) for batch in batches]
    sums = add_up(count_targets(one) for one in passes)
    sequences = len(passes[0]) * arm.train.batch_size
    return StepCost(
        body=FORWARD_AND_BACKWARD * sequences * model.encoder.flops(arm.train.seq_length),
        per_target={
            term: FORWARD_AND_BACKWARD * head_flops(objective)
            for one in passes[0]
            for objective in one.objectives
            for term in objective.targets(one.view)
        },
        targets={term: count.item() / len(batches) for term, count in sums.items()},
        tokens=sum(batch.attention_mask.sum().item() for batch in batches) / len(batches),
    )


@dataclass(frozen=True)
class Plan:
    """The end of a run: a number of steps, or of seconds where the budget is one of time."""

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, budget: Budget, cost: StepCost) -> Plan:
        """Tokens and FLOPs become steps, so that the schedule is known from the start.

        Raises:
            UserError: the budget does not come to one step.
        """
        if budget.seconds is not None:
            return cls(None, budget.seconds)
        if budget.steps is not None:
            return cls(budget.steps, None)
        if budget.tokens is not None:
            return cls(_whole_steps("tokens", budget.tokens, cost.tokens), None)
        return cls(_whole_steps("flops", budget.flops or 0.0, cost.flops_per_step), None)

    def progress(self, spent: Spent) -> float:
        """The share of the budget that is spent, 0 to 1."""
        if self.steps is not None:
            return min(1.0, spent.step / self.steps)
        return min(1.0, spent.seconds / (self.seconds or 1.0))


def _whole_steps(kind: str, budget: float, cost: float) -> int:
    steps = round(budget / cost)
    if steps == 0:
        raise UserError(f"budget.{kind} = {budget:.3g} is too little: one step costs {cost:.3g}")
    return steps
