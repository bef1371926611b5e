"""The runs of one choice, and all runs sorted into choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clozebox.errors import UserError, did_you_mean
from clozebox.report.records import RunRecord, finite


@dataclass(frozen=True)
class ArmRuns:
    """The runs of one choice, one per seed, all with the same settings."""

    name: str
    runs: tuple[RunRecord, ...]

    @property
    def finished(self) -> tuple[RunRecord, ...]:
        return tuple(run for run in self.runs if run.state == "done")

    @property
    def unfinished(self) -> tuple[RunRecord, ...]:
        return tuple(run for run in self.runs if run.state != "done")

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.runs[0].resolved["settings"])

    @property
    def parameters(self) -> int | None:
        return next((r.parameters for r in self.runs if r.parameters is not None), None)

    def values(self, metric: str) -> dict[int, float]:
        """{seed: last value of ``metric``} over the finished runs that measured a number."""
        return finite({r.seed: r.final[metric] for r in self.finished if metric in r.final})

    def mean_cost(self, cost: str) -> float | None:
        """Mean of what the finished runs spent, in steps, tokens, flops or seconds."""
        spent = [run.cost[cost] for run in self.finished if cost in run.cost]
        return math.fsum(spent) / len(spent) if spent else None


def grouped(runs: Sequence[RunRecord]) -> tuple[ArmRuns, ...]:
    """By arm; runs of one arm with different settings are never pooled but told apart by hash.

    Runs that never got to an evaluation do not tell: they measure nothing that could be pooled.
    """
    prints: dict[str, set[str]] = {}
    for run in runs:
        if run.evaluations:
            prints.setdefault(run.arm, set()).add(str(run.resolved["fingerprint"]))
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        mixed = len(prints.get(run.arm, ())) > 1
        name = f"{run.arm}@{run.resolved['fingerprint'][:6]}" if mixed else run.arm
        groups.setdefault(name, []).append(run)
    return tuple(ArmRuns(name, tuple(members)) for name, members in groups.items())


def with_first(arms: Sequence[ArmRuns], name: str) -> tuple[ArmRuns, ...]:
    """The arm ``name`` first, which makes it the baseline.

    Raises:
        UserError: no arm has that name.
    """
    names = [arm.name for arm in arms]
    if name not in names:
        raise UserError(
            f"no arm is named {name!r}{did_you_mean(name, names)}; the arms are {', '.join(names)}"
        )
    first = arms[names.index(name)]
    return (first, *(arm for arm in arms if arm is not first))


def best_first(arms: Sequence[ArmRuns], metric: str, lower_is_better: bool) -> tuple[ArmRuns, ...]:
    """By the mean of ``metric``; those that have none come last, in their own order."""

    def place(arm: ArmRuns) -> float:
        values = arm.values(metric).values()
        if not values:
            return math.inf
        mean = math.fsum(values) / len(values)
        return mean if lower_is_better else -mean

    return tuple(sorted(arms, key=place))
