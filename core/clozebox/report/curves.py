"""Learning curves of an arm: the mean over seeds at each evaluation, and how far they scatter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clozebox.report.comparison import ArmRuns
from clozebox.report.records import COSTS, Evaluation
from clozebox.report.statistics import Estimate, estimate


@dataclass(frozen=True)
class Point:
    """One evaluation of an arm: mean cost so far, and the metric over its finished seeds."""

    cost: dict[str, float]
    estimate: Estimate
    low: float
    high: float
    """The lowest and the highest seed."""


def learning_curve(arm: ArmRuns, metric: str) -> list[Point]:
    """One point for each evaluation that every finished seed has, and one for the end of each.

    The n-th evaluations belong together, not those at one step: they are spread over the budget,
    and a budget of FLOPs, tokens or seconds comes to other steps for other seeds.
    """
    tables = [
        {
            number: look
            for number, look in enumerate(run.evaluations)
            if math.isfinite(look.metrics.get(metric, math.nan))
        }
        for run in arm.finished
    ]
    tables = [table for table in tables if table]
    if not tables:
        return []
    ends = [table.pop(max(table)) for table in tables]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    points = [_point([table[number] for table in tables], metric) for number in shared]
    return [*points, _point(ends, metric)]


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
