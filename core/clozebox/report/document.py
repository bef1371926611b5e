"""A comparison as one JSON document: what ``--format json`` prints and the page draws from."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from clozebox.report.comparison import Comparison, Row
from clozebox.report.curves import Point, learning_curve
from clozebox.report.notes import notes
from clozebox.report.records import COSTS
from clozebox.report.statistics import Estimate
from clozebox.report.verdict import summary, verdicts


def as_document(comparison: Comparison, beside: Path | None = None) -> dict[str, Any]:
    """Everything a comparison knows; paths of runs are relative to ``beside`` (the folder)."""
    start = beside or comparison.folder
    return {
        "experiment": comparison.experiment,
        "question": comparison.question,
        "budget": comparison.budget,
        "metric": comparison.metric,
        "baseline": comparison.baseline.name,
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
            for run in comparison.runs
        ],
        "metrics": [_metric(comparison, metric) for metric in comparison.metrics],
    }


def _metric(comparison: Comparison, metric: str) -> dict[str, Any]:
    return {
        "name": metric,
        "lower_is_better": comparison.lower_is_better(metric),
        "arms": [_row(row, row.arm.values(metric)) for row in comparison.rows(metric)],
        "curves": [
            [_point(point) for point in learning_curve(arm, metric)] for arm in comparison.arms
        ],
        "verdicts": [vars(verdict) for verdict in verdicts(comparison, metric)],
    }


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
        },
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
    return {**point.cost, **_estimate(point.estimate), **seeds}


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
        "parameters": row.arm.parameters,
        **{cost: row.arm.mean_cost(cost) for cost in COSTS},
    }
