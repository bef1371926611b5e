"""Learning curves of an arm: the mean over seeds at each evaluation, and how far they scatter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clozebox.report.arms import ArmRuns
from clozebox.report.records import COSTS, Evaluation, RunRecord
from clozebox.report.statistics import Estimate, estimate

Item = TypeVar("Item")


@dataclass(frozen=True)
class Point:
    """One evaluation of an arm: mean cost so far, and the metric over its finished seeds."""

    cost: dict[str, float]
    estimate: Estimate
    low: float
    high: float
    """The lowest and the highest seed."""


def learning_curve(arm: ArmRuns, metric: str, most: int | None = None) -> list[Point]:
    """Over the finished seeds of an arm; ``most`` thins the points out, evenly."""
    return mean_curve([run.evaluations for run in arm.finished], metric, most)


def mean_curve(
    runs: Sequence[Sequence[Evaluation]], metric: str, most: int | None = None
) -> list[Point]:
    """One point for each evaluation that every run has, and one for the end of each.

    The n-th evaluations belong together, not those at one step: they are spread over the budget,
    and a budget of FLOPs, tokens or seconds comes to other steps for other seeds.
    """
    tables = [
        {
            number: look
            for number, look in enumerate(looks)
            if math.isfinite(look.metrics.get(metric, math.nan))
        }
        for looks in runs
    ]
    tables = [table for table in tables if table]
    if not tables:
        return []
    ends = [table.pop(max(table)) for table in tables]
    shared = thinned(sorted(set.intersection(*(set(table) for table in tables))), most)
    points = [_point([table[number] for table in tables], metric) for number in shared]
    return [*points, _point(ends, metric)]


def single_curve(run: RunRecord, metric: str, most: int | None = None) -> list[dict[str, float]]:
    """The evaluations of one run: what was spent, and the ``value``; numbers only."""
    points = [
        {**look.cost, "value": look.metrics[metric]}
        for look in run.evaluations
        if math.isfinite(look.metrics.get(metric, math.nan))
    ]
    return thinned(points, most)


def thinned(items: list[Item], most: int | None) -> list[Item]:
    """Every n-th item, the last among them, so that about ``most`` are left."""
    every = 1 if most is None else max(1, len(items) // most)
    return items[(len(items) - 1) % every :: every] if items else []


def _point(looks: Sequence[Evaluation], metric: str) -> Point:
    values = [look.metrics[metric] for look in looks]
    costs = [look.cost for look in looks]
    return Point(
        cost={key: _mean(costs, key) for key in COSTS if all(key in cost for cost in costs)},
        estimate=estimate(values),
        low=min(values),
        high=max(values),
    )


def _mean(costs: Sequence[Mapping[str, float]], key: str) -> float:
    return math.fsum(cost[key] for cost in costs) / len(costs)
