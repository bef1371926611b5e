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
    """Points at the steps that every finished seed evaluated, then the end of each seed.

    The ends are averaged whatever their steps, since a budget of seconds or FLOPs stops seeds at
    different ones.
    """
    seeds = [
        [look for look in run.evaluations if math.isfinite(look.metrics.get(metric, math.nan))]
        for run in arm.finished
    ]
    seeds = [looks for looks in seeds if looks]
    if not seeds:
        return []
    tables = [{look.cost["steps"]: look for look in looks[:-1]} for looks in seeds]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    points = [_point([table[step] for table in tables], metric) for step in shared]
    return [*points, _point([looks[-1] for looks in seeds], metric)]


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
