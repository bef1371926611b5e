"""What the numbers say, in sentences that claim no more than the numbers do."""

from __future__ import annotations

from dataclasses import dataclass

from clozebox.report.arms import ArmRuns
from clozebox.report.comparison import Comparison, Row
from clozebox.report.notes import unlike_text
from clozebox.report.numbers import interval_text, mean_text, p_text, places
from clozebox.report.power import Sensitivity
from clozebox.report.search_summary import search_summary
from clozebox.report.statistics import SIGNIFICANCE, Interval, PairedDifference


@dataclass(frozen=True)
class Verdict:
    """One arm against the baseline: ``better``, ``worse``, ``lower``, ``higher``, ``same`` (cannot
    be told apart) or ``unknown`` (too little finished, or measured in another way)."""

    arm: str
    outcome: str
    sentence: str


def verdicts(comparison: Comparison, metric: str) -> list[Verdict]:
    """One per arm beyond the baseline; none on the trials of a search, which are chosen by luck."""
    if comparison.ranks_trials:
        return []
    rows = comparison.rows(metric)
    tested = sum(row.p is not None for row in rows)
    lower_is_better = comparison.lower_is_better(metric)
    return [_verdict(rows[0], row, metric, lower_is_better, tested) for row in rows[1:]]


def _verdict(
    base: Row, row: Row, metric: str, lower_is_better: bool | None, tested: int
) -> Verdict:
    arm, other = row.arm.name, base.arm.name
    for side in (row, base):
        if side.estimate is None:
            return Verdict(arm, "unknown", _nothing_measured(side.arm, metric))
    if row.unlike:
        text = f"{arm} was not measured with the same instrument: {unlike_text(row)}."
        return Verdict(arm, "unknown", text)
    if row.difference is None:
        text = f"{arm} and {other} have no finished seed in common, so they cannot be compared."
        return Verdict(arm, "unknown", text)
    if row.p is None:
        by = abs(row.difference.estimate.mean)
        word = "above" if row.difference.estimate.mean > 0 else "below"
        text = (
            f"{arm} is {by:.4f} {word} {other} in the one seed they share;"
            " one seed gives no interval, so nothing can be concluded."
        )
        return Verdict(arm, "unknown", text)
    if row.p < SIGNIFICANCE:
        outcome = _outcome(row.difference.estimate.mean, lower_is_better)
        return Verdict(arm, outcome, f"{arm} is {outcome} than {other} by {_size(row.difference)}.")
    text = f"{arm} {_cannot_be_told_apart(row.difference, row.p, other, tested)}"
    return Verdict(arm, "same", text + _reach(row.sensitivity))


def _reach(found: Sensitivity | None) -> str:
    """What not finding a difference is worth."""
    if found is None:
        return ""
    return f" Four in five such experiments would find a difference of {found.detectable:.2g}."


def _nothing_measured(arm: ArmRuns, metric: str) -> str:
    if arm.finished:
        return f"{arm.name} does not measure {metric}."
    return f"{arm.name} has no finished run yet."


def _outcome(difference: float, lower_is_better: bool | None) -> str:
    if lower_is_better is None:
        return "lower" if difference < 0 else "higher"
    return "better" if (difference < 0) == lower_is_better else "worse"


def _size(difference: PairedDifference) -> str:
    """The size of a difference without its sign, for the word before it already says the side."""
    found = difference.estimate
    digits, interval = places(found), found.interval
    if interval is not None and found.mean < 0:
        interval = Interval(-interval.high, -interval.low)
    return (
        f"{abs(found.mean):.{digits}f} (95 % interval {interval_text(interval, digits)}, "
        f"{found.n} paired seeds)"
    )


def _cannot_be_told_apart(difference: PairedDifference, p: float, other: str, tested: int) -> str:
    found = difference.estimate
    if found.std == 0 and found.mean == 0:
        return f"equals {other} in each of {found.n} paired seeds."
    digits = places(found)
    numbers = (
        f"the difference is {found.mean:+.{digits}f} (95 % interval "
        f"{interval_text(found.interval, digits)}, {found.n} paired seeds"
    )
    if found.interval is not None and not found.interval.holds(0):
        return (
            f"cannot be told apart from {other} once {tested} comparisons are allowed for: "
            f"{numbers}, p = {p_text(p)} after Holm)."
        )
    return f"cannot be told apart from {other}: {numbers})."


def summary(comparison: Comparison) -> list[str]:
    """The verdict on the main metric, or the level itself where there is only one arm."""
    if comparison.ranks_trials:
        return search_summary(comparison)
    if len(comparison.arms) > 1:
        return [v.sentence for v in verdicts(comparison, comparison.metric)]
    row = comparison.rows(comparison.metric)[0]
    if row.estimate is None:
        return [_nothing_measured(row.arm, comparison.metric)]
    seeds = "seed" if row.estimate.n == 1 else "seeds"
    level = f"{comparison.metric} {mean_text(row.estimate)} over {row.estimate.n} {seeds}"
    return [f"{row.arm.name}: {level}; there is no second arm to compare it with."]
