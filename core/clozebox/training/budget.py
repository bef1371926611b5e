"""What a run may spend, how much of it is spent, and what a step costs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from clozebox.config.settings import Budget, Phase
from clozebox.errors import UserError
from clozebox.model import FORWARD_AND_BACKWARD
from clozebox.pretraining import Batch, Objective, PretrainingModel, Targets
from clozebox.pretraining.mixture import share_out
from clozebox.pretraining.passes import add_up, encoder_flops, passes, targets_of


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
    """Adds the seconds of training to ``spent``; ``agree`` makes them the same on every rank."""

    def __init__(self, spent: Spent, agree: Callable[[float], float] = float) -> None:
        self._spent = spent
        self._agree = agree
        self._last = time.perf_counter()

    def tick(self) -> None:
        now = time.perf_counter()
        self._spent.seconds = self._agree(self._spent.seconds + now - self._last)
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

    flops: float
    tokens: float
    """Real tokens."""
    targets: Mapping[str, float]
    """Targets by term."""

    @property
    def predictions(self) -> float:
        """Targets of all terms."""
        return sum(self.targets.values())

    @classmethod
    def average(cls, costs: Sequence[StepCost], shares: Sequence[float]) -> StepCost:
        """What a step costs on average, where each of these costs is that of a share of them."""
        targets: dict[str, float] = {}
        for cost, share in zip(costs, shares, strict=True):
            for term, count in cost.targets.items():
                targets[term] = targets.get(term, 0.0) + share * count
        pairs = tuple(zip(costs, shares, strict=True))
        return cls(
            flops=sum(share * cost.flops for cost, share in pairs),
            tokens=sum(share * cost.tokens for cost, share in pairs),
            targets=targets,
        )


def cost_of_step(
    model: PretrainingModel, objectives: Sequence[Objective], micro_batches: Sequence[Batch]
) -> StepCost:
    """What a step costs, counted without taking it."""
    flops, tokens, counts = 0.0, 0.0, list[dict[str, Tensor]]()
    with torch.no_grad():
        for batch in micro_batches:
            readers = share_out(objectives, batch)
            targets = targets_of(readers)
            flops += step_flops(encoder_flops(model, passes(readers)), targets).item()
            tokens += batch.attention_mask.sum().item()
            counts.append({term: one.count for term, one in targets.items()})
    return StepCost(flops, tokens, {term: n.item() for term, n in add_up(counts).items()})


def step_flops(encoder: int, targets: Mapping[str, Targets]) -> Tensor:
    """Training operations, () float64: forward and backward of encoder passes and of heads."""
    besides = encoder + sum(one.flops_besides for one in targets.values())
    heads = [one.count.double() * one.flops_each for one in targets.values()]
    return FORWARD_AND_BACKWARD * (torch.stack(heads).sum() + besides)


@dataclass(frozen=True)
class Plan:
    """The end of a run: a number of steps, or of seconds where the budget is one of time."""

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, budget: Budget, cost: StepCost) -> Plan:
        """Tokens, predictions and FLOPs become steps: the schedule is known from the start.

        Raises:
            UserError: the budget does not come to one step.
        """
        if budget.seconds is not None:
            return cls(None, budget.seconds)
        if budget.steps is not None:
            return cls(budget.steps, None)
        if budget.tokens is not None:
            return cls(_whole_steps("tokens", budget.tokens, cost.tokens), None)
        if budget.predictions is not None:
            return cls(_whole_steps("predictions", budget.predictions, cost.predictions), None)
        return cls(_whole_steps("flops", budget.flops or 0.0, cost.flops), None)

    def require_a_step_each(self, phases: Sequence[Phase]) -> None:
        """Raises UserError when one of the phases is so short that no step falls into it."""
        begin = 0.0
        for number, phase in enumerate(phases, 1):
            end = begin + phase.share
            if self.steps and math.ceil(begin * self.steps - 1e-6) >= end * self.steps - 1e-6:
                told = f"phase {number} has no step: it is {phase.share:g} of {self.steps}"
                raise UserError(told)
            begin = end

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
