"""Every metric by arm: one line a task, and a mark where an arm beats the baseline or loses."""

from __future__ import annotations

from clozebox.report.comparison import Comparison, Row
from clozebox.report.numbers import MISSING, places
from clozebox.report.records import EVALUATION
from clozebox.report.tables import Table
from clozebox.report.verdict import verdicts

MARKS = {"better": "▲", "worse": "▼", "lower": "↓", "higher": "↑"}
UNLIKE = "≠"
LEGEND = (
    f"{MARKS['better']} better, {MARKS['worse']} worse than the baseline "
    f"({MARKS['lower']} {MARKS['higher']} where neither is good), Holm over the arms of each "
    f"metric; {UNLIKE} measured on other blanks or text, not comparable."
)


def task_table(comparison: Comparison) -> Table | None:
    """A row for each metric but the main one, a column for each arm; None if there is no other."""
    header = ("metric", *(arm.name for arm in comparison.arms))
    rows = tuple(
        (metric.removeprefix(EVALUATION), *cells(comparison, metric))
        for metric in comparison.metrics[1:]
    )
    return Table("every metric by arm", header, rows, note=LEGEND) if rows else None


def cells(comparison: Comparison, metric: str) -> list[str]:
    """The mean of each arm, marked."""
    outcomes = {verdict.arm: verdict.outcome for verdict in verdicts(comparison, metric)}
    rows = comparison.rows(metric)
    digits = sorted(places(row.estimate) for row in rows if row.estimate is not None)
    # Where the baseline has no such metric, there is nothing to compare with.
    alone = rows[0].estimate is None
    middle = digits[len(digits) // 2]  # the same for all, so that a line can be read along
    marks = [
        UNLIKE if row.unlike and not alone else MARKS.get(outcomes.get(row.arm.name, ""), " ")
        for row in rows
    ]
    return [_cell(row, mark, middle) for row, mark in zip(rows, marks, strict=True)]


def _cell(row: Row, mark: str, digits: int) -> str:
    # A mark or its room, so that the digits of a column stand below one another.
    if row.estimate is None:
        return f"{MISSING}  "
    return f"{row.estimate.mean:.{digits}f} {mark}"
