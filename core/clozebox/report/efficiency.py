"""What a difference is worth: against the floor, for each FLOP, and in FLOPs saved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from clozebox.report.arms import ArmRuns
from clozebox.report.metric_names import unit
from clozebox.report.records import RunRecord
from clozebox.report.statistics import Estimate, Interval, estimate


@dataclass(frozen=True)
class Ratio:
    """A mean of ratios over seeds; they are averaged, like everything that multiplies, as logs."""

    n: int
    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Efficiency:
    """A difference to the baseline for what it cost; None where something is not known."""

    of_excess: float | None
    """In shares of the baseline's excess above the floor: -0.1 is a tenth of the way down to it."""
    per_flop: float | None
    """Nats a FLOP, or points (hundredths) a FLOP."""
    flops_ratio: Ratio | None
    """FLOPs for the same result: the arm's over the baseline's."""


def efficiency(
    arm: ArmRuns,
    baseline: ArmRuns,
    metric: str,
    difference: Estimate,
    lower_is_better: bool | None,
) -> Efficiency:
    """Of ``arm``, whose mean paired difference to ``baseline`` is ``difference``."""
    excess, flops = baseline_excess(baseline, metric), arm.mean_cost("flops")
    scale = 100 if unit(metric) == "points" else 1
    return Efficiency(
        of_excess=difference.mean / excess if excess else None,
        per_flop=scale * difference.mean / flops if flops else None,
        flops_ratio=None
        if lower_is_better is None
        else _flops_ratio(arm, baseline, metric, 1 if lower_is_better else -1),
    )


def baseline_excess(baseline: ArmRuns, metric: str) -> float | None:
    """How far above the lowest possible loss the baseline is; None where the floor is unknown."""
    values = baseline.values(metric)
    floors = baseline.values(metric.removesuffix("_loss") + "_floor")
    if metric.endswith("excess"):
        above = list(values.values())
    else:
        above = [values[seed] - floors[seed] for seed in values.keys() & floors.keys()]
    mean = math.fsum(above) / len(above) if above else 0.0
    return mean if mean > 0 else None


def _flops_ratio(arm: ArmRuns, baseline: ArmRuns, metric: str, sign: int) -> Ratio | None:
    runs = {run.seed: run for run in arm.finished}
    logs = [
        math.log(ratio)
        for run in baseline.finished
        if run.seed in runs and (ratio := _ratio(runs[run.seed], run, metric, sign)) is not None
    ]
    if not logs:
        return None
    found = estimate(logs)
    held = found.interval
    interval = None if held is None else Interval(math.exp(held.low), math.exp(held.high))
    return Ratio(found.n, math.exp(found.mean), interval)


def _ratio(run: RunRecord, base: RunRecord, metric: str, sign: int) -> float | None:
    """Below 1, when ``run`` was as good as ``base`` ends; above 1, when ``base`` was as ``run``."""
    ends = run.final.get(metric, math.nan), base.final.get(metric, math.nan)
    if not all(math.isfinite(end) for end in ends):
        return None
    if sign * ends[0] <= sign * ends[1]:
        spent, reference = _reached(run, metric, ends[1], sign), base.cost.get("flops")
    else:
        spent, reference = run.cost.get("flops"), _reached(base, metric, ends[0], sign)
    return spent / reference if spent and reference else None


def _reached(run: RunRecord, metric: str, goal: float, sign: int) -> float | None:
    """FLOPs at which ``run`` first is as good as ``goal``, on straight lines between evaluations.

    The first evaluation's where that one is good enough: it cannot be told how much sooner.
    """
    points = list(_curve(run, metric))
    if points and sign * points[0][1] <= sign * goal:
        return points[0][0]
    for (before, worse), (after, better) in pairwise(points):
        if sign * better <= sign * goal:
            return before + (after - before) * (worse - goal) / (worse - better)
    return None


def _curve(run: RunRecord, metric: str) -> Iterator[tuple[float, float]]:
    for look in run.evaluations:
        value = look.metrics.get(metric, math.nan)
        if math.isfinite(value) and "flops" in look.cost:
            yield look.cost["flops"], value
