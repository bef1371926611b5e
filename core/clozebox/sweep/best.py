"""What a sweep found: the best run of each arm, or a front; and what fresh seeds make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from clozebox.config.settings import Sweep
from clozebox.sweep.plan import PlannedRun


@dataclass(frozen=True)
class Best:
    """A finished run that no other of its arm beats, with the values its trial was given."""

    run: PlannedRun
    value: float
    values: Mapping[str, Any]
    cost: float | None = None
    """What it spent, where a search keeps that low as well."""

    @property
    def label(self) -> str:
        return self.run.label


@dataclass(frozen=True)
class Confirmed:
    """What a best trial came to on seeds that no trial had seen."""

    best: Best
    found: Mapping[int, float]
    """{seed: metric} of the runs that finished."""

    @property
    def mean(self) -> float | None:
        return fmean(self.found.values()) if self.found else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds."""
        return stdev(self.found.values()) if len(self.found) > 1 else None


def best_of(
    plan: Sequence[PlannedRun], latest: Mapping[str, FrozenTrial], sweep: Sweep
) -> tuple[Best, ...]:
    """The best run of each arm that finished one, in the order of the arms.

    With two goals, every run that none of its arm beats in both: the front, cheapest first.
    """
    finished = [
        Best(run, trial.values[0], _values_of(run, trial), *trial.values[1:])
        for run in plan
        if (trial := latest.get(run.folder)) is not None and trial.state is TrialState.COMPLETE
    ]
    sign = 1 if sweep.direction == "minimize" else -1
    chosen: list[Best] = []
    for arm in dict.fromkeys(one.run.arm.name for one in finished):
        ours = [one for one in finished if one.run.arm.name == arm]
        if any(one.cost is not None for one in ours):
            chosen += front(ours, sign)
        else:
            chosen.append(min(ours, key=lambda one: sign * one.value))  # the first of equals
    return tuple(chosen)


def front(runs: Sequence[Best], sign: int) -> list[Best]:
    """Those that no other is as good as, and cheaper, or better at no more cost."""
    kept: list[Best] = []
    for one in sorted(runs, key=lambda one: (one.cost or 0.0, sign * one.value)):
        if not kept or sign * one.value < sign * kept[-1].value:
            kept.append(one)
    return kept


def with_values(best: Sequence[Best]) -> list[PlannedRun]:
    """The runs of the best trials, with their values fixed, to be made again."""
    return [replace(one.run, values=one.values) for one in best]


def confirmed(
    best: Sequence[Best], plan: Sequence[PlannedRun], latest: Mapping[str, FrozenTrial]
) -> tuple[Confirmed, ...]:
    """What the fresh runs of ``plan`` came to, for each of the best."""
    found: dict[tuple[str, int | None], dict[int, float]] = {}
    for run in plan:
        trial = latest.get(run.folder)
        if trial is not None and trial.state is TrialState.COMPLETE:
            found.setdefault((run.arm.name, run.trial), {})[run.seed] = trial.values[0]
    return tuple(Confirmed(one, found.get((one.run.arm.name, one.run.trial), {})) for one in best)


def _values_of(run: PlannedRun, trial: FrozenTrial) -> Mapping[str, Any]:
    return trial.params or run.values
