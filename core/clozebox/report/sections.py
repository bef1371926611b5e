"""The tables of a comparison."""

from __future__ import annotations

from clozebox.report.comparison import Comparison, Row
from clozebox.report.differences import differences
from clozebox.report.numbers import (
    MISSING,
    cost_text,
    count_text,
    difference_text,
    half_width_text,
    interval_text,
    mean_text,
    p_text,
    places,
    std_text,
)
from clozebox.report.records import COSTS
from clozebox.report.tables import Table

LEVEL = ("mean", "± 95 %")
DIFFERENCE = ("difference", "95 % interval", "p Holm")


def result_table(comparison: Comparison, metric: str) -> Table:
    """Per arm: seeds done, mean and half-width, spread, paired difference to the baseline."""
    rows = tuple(
        (
            row.arm.name,
            f"{len(row.arm.finished)}/{len(row.arm.runs)}",
            *_level(row),
            std_text(row.estimate),
            *_difference(row),
            p_text(None if row.difference is None else row.difference.p_sign_flip),
        )
        for row in comparison.rows(metric)
    )
    header = ("arm", "seeds", *LEVEL, "spread", *DIFFERENCE, "p flips")
    return Table(_result_title(comparison, metric), header, rows)


def _result_title(comparison: Comparison, metric: str) -> str:
    way = {True: ", lower is better", False: ", higher is better", None: ""}
    return f"{metric}{way[comparison.lower_is_better(metric)]}"


def _level(row: Row) -> tuple[str, ...]:
    return mean_text(row.estimate), half_width_text(row.estimate)


def _difference(row: Row) -> tuple[str, ...]:
    if row.difference is None:
        return (MISSING,) * len(DIFFERENCE)
    found = row.difference.estimate
    return difference_text(found), interval_text(found.interval, places(found)), p_text(row.p)


def metrics_table(comparison: Comparison) -> Table | None:
    """Every metric but the main one, a row for each arm that has it; None if there is no other."""
    rows = tuple(
        (metric, row.arm.name, *_level(row), *_difference(row))
        for metric in comparison.metrics[1:]
        for row in comparison.rows(metric)
        if row.estimate is not None
    )
    return Table("other metrics", ("metric", "arm", *LEVEL, *DIFFERENCE), rows, 2) if rows else None


def cost_table(comparison: Comparison) -> Table:
    """Per arm: parameters, and the mean of what its finished runs spent."""
    rows = tuple(
        (
            arm.name,
            count_text(arm.parameters),
            *(cost_text(cost, arm.mean_cost(cost)) for cost in COSTS),
        )
        for arm in comparison.arms
    )
    header = ("arm", "parameters", "steps", "tokens", "FLOPs", "training time")
    return Table("cost, mean over finished seeds", header, rows)


def differences_table(comparison: Comparison) -> Table | None:
    """The settings in which the arms differ; None when they do not."""
    rows = tuple((key, *texts) for key, texts in differences(comparison.arms).items())
    header = ("setting", *(arm.name for arm in comparison.arms))
    return Table("settings that differ", header, rows, len(header)) if rows else None


def all_tables(comparison: Comparison) -> list[Table]:
    """Result, other metrics, cost, settings that differ: those that have something to say."""
    tables = (
        result_table(comparison, comparison.metric),
        metrics_table(comparison),
        cost_table(comparison),
        differences_table(comparison),
    )
    return [table for table in tables if table is not None]
