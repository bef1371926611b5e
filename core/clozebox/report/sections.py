"""The tables of a comparison."""

from __future__ import annotations

import math

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
    power_text,
    std_text,
)
from clozebox.report.power import MOST_SEEDS
from clozebox.report.records import COSTS
from clozebox.report.search_summary import trials_table
from clozebox.report.tables import Table
from clozebox.report.task_table import task_table

LEVEL = ("mean", "± 95 %")
DIFFERENCE = ("difference", "95 % interval", "p Holm")
FINDABLE = (
    "findable: the smallest true difference that four in five such experiments find, after Holm. "
    "The seeds allow for a spread that is known from few runs."
)
WORTH = (
    "FLOPs for the same: what the arm needs to be as good as the baseline ends (below 1), or as "
    "many times more as the baseline needs to be as good as the arm ends (above 1), read off the "
    "curves; a run planned to be that short would have lowered its learning rate sooner."
)


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


def sensitivity_table(comparison: Comparison) -> Table | None:
    """What the seeds can tell: the smallest difference they find, and the seeds for more."""
    rows = []
    for row in comparison.rows(comparison.metric):
        if row.difference is None or row.sensitivity is None:
            continue
        found, difference = row.sensitivity, row.difference.estimate
        needed = f">{MOST_SEEDS}" if found.seeds is None else str(found.seeds)
        spread, detectable = std_text(difference), f"{found.detectable:.{places(difference)}f}"
        rows.append((row.arm.name, str(difference.n), spread, detectable, needed))
    sought = "as seen" if comparison.effect is None else f"of {comparison.effect:g}"
    header = ("arm", "pairs", "spread of pairs", "findable", f"seeds for one {sought}")
    return Table("what the seeds can tell", header, tuple(rows), note=FINDABLE) if rows else None


def efficiency_table(comparison: Comparison) -> Table | None:
    """Per arm: the difference for what it cost, and FLOPs for the same result."""
    flops = comparison.baseline.mean_cost("flops")
    scale = 10 ** round(math.log10(flops)) if flops else 1
    rows: list[tuple[str, ...]] = [
        (row.arm.name, *_worth(row, scale))
        for row in comparison.rows(comparison.metric)
        if row.difference is not None
    ]
    rate = f"{comparison.unit or comparison.metric} per {power_text(scale)} FLOPs"
    header: tuple[str, ...] = (
        "arm",
        "difference",
        rate,
        "FLOPs for the same",
        "95 % interval",
        "of the excess",
    )
    if all(row[-1] == MISSING for row in rows):
        # No yardstick of this experiment knows how low a loss can get.
        header, rows = header[:-1], [row[:-1] for row in rows]
    return Table("what a difference is worth", header, tuple(rows), note=WORTH) if rows else None


def _worth(row: Row, scale: float) -> tuple[str, ...]:
    if row.difference is None or row.efficiency is None:
        return (MISSING,) * 5
    found, difference = row.efficiency, row.difference.estimate
    ratio = found.flops_ratio
    interval = None if ratio is None else ratio.interval
    return (
        difference_text(difference),
        MISSING if found.per_flop is None else f"{found.per_flop * scale:+.3g}",
        MISSING if ratio is None else f"{ratio.value:.2f} ×",
        interval_text(interval, 2),
        MISSING if found.of_excess is None else f"{found.of_excess:+.1%}",
    )


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


def all_tables(comparison: Comparison, everything: bool = False) -> list[Table]:
    """Those that have something to say; the intervals of every metric only with ``everything``."""
    if comparison.ranks_trials:
        return [trials_table(comparison)]
    alone = len(comparison.arms) == 1
    tables = (
        result_table(comparison, comparison.metric),
        sensitivity_table(comparison),
        efficiency_table(comparison),
        None if alone else task_table(comparison),
        metrics_table(comparison) if alone or everything else None,
        cost_table(comparison),
        differences_table(comparison),
        trials_table(comparison) if comparison.winners else None,
    )
    return [table for table in tables if table is not None]
