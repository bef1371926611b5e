"""A comparison as one JSON document: what ``--format json`` prints and the page draws from."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from clozebox.report.comparison import Comparison, Row
from clozebox.report.curves import Point, learning_curve, single_curve
from clozebox.report.efficiency import Efficiency
from clozebox.report.notes import notes
from clozebox.report.power import Sensitivity
from clozebox.report.records import COSTS
from clozebox.report.search_document import search_documents
from clozebox.report.statistics import Estimate
from clozebox.report.verdict import summary, verdicts


def as_document(
    comparison: Comparison, beside: Path | None = None, most_points: int | None = None
) -> dict[str, Any]:
    """Everything a comparison knows; paths of runs are relative to ``beside`` (the folder).

    ``most_points`` thins out the curves.
    """
    start = beside or comparison.folder
    return {
        "experiment": comparison.experiment,
        "question": comparison.question,
        "budget": comparison.budget,
        "metric": comparison.metric,
        "baseline": comparison.baseline.name,
        "is_search": comparison.ranks_trials,
        "winners": [vars(winner) for winner in comparison.winners],
        "summary": summary(comparison),
        "notes": notes(comparison),
        "arms": [
            {
                "name": arm.name,
                "parameters": arm.parameters,
                "cost": {cost: arm.mean_cost(cost) for cost in COSTS},
                "settings": arm.settings,
            }
            for arm in comparison.arms
        ],
        "runs": [
            {
                "arm": run.arm,
                "seed": run.seed,
                "state": run.state,
                "reason": run.reason,
                "step": run.status.get("step"),
                "steps": run.status.get("steps"),
                "path": os.path.relpath(run.path, start),
                "final": {name: _number(value) for name, value in run.final.items()},
            }
            for run in comparison.every_run
        ],
        "search": search_documents(comparison),
        "metrics": [_metric(comparison, metric, most_points) for metric in comparison.metrics],
    }


def _metric(comparison: Comparison, metric: str, most_points: int | None) -> dict[str, Any]:
    return {
        "name": metric,
        "lower_is_better": comparison.lower_is_better(metric),
        "arms": [_row(row, row.arm.values(metric)) for row in comparison.rows(metric)],
        "curves": [
            [_point(point) for point in learning_curve(arm, metric, most_points)]
            for arm in comparison.arms
        ],
        "unfinished": _unfinished(comparison, metric, most_points),
        "verdicts": [vars(verdict) for verdict in verdicts(comparison, metric)],
    }


def _unfinished(
    comparison: Comparison, metric: str, most_points: int | None
) -> list[dict[str, Any]]:
    """How far each run got that is in no mean: it is being trained, or came to grief."""
    return [
        {"arm": i, "seed": run.seed, "state": run.state, "points": points}
        for i, arm in enumerate(comparison.arms)
        for run in arm.unfinished
        if (points := single_curve(run, metric, most_points))
    ]


def _row(row: Row, values: dict[int, float]) -> dict[str, Any]:
    difference = row.difference
    return {
        "arm": row.arm.name,
        "by_seed": values,
        **_estimate(row.estimate),
        "difference": None
        if difference is None
        else {
            **_estimate(difference.estimate),
            "by_seed": difference.by_seed,
            "p_t": difference.p_t,
            "p_holm": row.p,
            "p_sign_flip": difference.p_sign_flip,
            "sensitivity": _sensitivity(row.sensitivity),
            "efficiency": _efficiency(row.efficiency),
        },
        "unlike": row.unlike,
    }


def _sensitivity(found: Sensitivity | None) -> dict[str, Any] | None:
    return None if found is None else vars(found)


def _efficiency(found: Efficiency | None) -> dict[str, Any] | None:
    if found is None:
        return None
    ratio = found.flops_ratio
    interval = None if ratio is None else ratio.interval
    return {
        "of_excess": found.of_excess,
        "per_flop": found.per_flop,
        "flops_ratio": None if ratio is None else ratio.value,
        "flops_ratio_low": None if interval is None else interval.low,
        "flops_ratio_high": None if interval is None else interval.high,
    }


def _estimate(found: Estimate | None) -> dict[str, Any]:
    if found is None:
        return {"n": 0, "mean": None, "std": None, "low": None, "high": None}
    interval = found.interval
    return {
        "n": found.n,
        "mean": found.mean,
        "std": found.std,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
    }


def _point(point: Point) -> dict[str, Any]:
    seeds = {"lowest_seed": point.low, "highest_seed": point.high}
    numbers = {**point.cost, **_estimate(point.estimate), **seeds}
    # As many digits as metrics.jsonl has: the rest is rounding, and half of a page's size.
    return {key: v if v is None else float(f"{v:.8g}") for key, v in numbers.items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def as_records(comparison: Comparison) -> list[dict[str, object]]:
    """One flat record per metric and arm, at full precision: the rows of the CSV."""
    return [
        _record(row, metric) for metric in comparison.metrics for row in comparison.rows(metric)
    ]


def _record(row: Row, metric: str) -> dict[str, object]:
    gap = row.difference
    between = _estimate(None if gap is None else gap.estimate)
    return {
        "metric": metric,
        "arm": row.arm.name,
        **_estimate(row.estimate),
        "paired_seeds": between["n"],
        "difference": between["mean"],
        "difference_low": between["low"],
        "difference_high": between["high"],
        "p_t": None if gap is None else gap.p_t,
        "p_holm": row.p,
        "p_sign_flip": None if gap is None else gap.p_sign_flip,
        **_record_of_worth(row),
        "parameters": row.arm.parameters,
        **{cost: row.arm.mean_cost(cost) for cost in COSTS},
    }


def _record_of_worth(row: Row) -> dict[str, object]:
    """Empty cells where nothing is known, so that every record has the same ones."""
    reach = _sensitivity(row.sensitivity) or dict.fromkeys(("detectable", "effect", "seeds"))
    worth = _efficiency(row.efficiency)
    ratio = None if worth is None else worth["flops_ratio"]
    return {
        "detectable": reach["detectable"],
        "seeds_needed": reach["seeds"],
        "flops_ratio": ratio,
        "not_alike": "; ".join(row.unlike),
    }
