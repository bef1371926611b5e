"""What a search found: words and a table about its best trials."""

from __future__ import annotations

import json
from typing import Any

from clozebox.report.arms import ArmRuns
from clozebox.report.comparison import Comparison
from clozebox.report.numbers import MISSING
from clozebox.report.tables import Table

LISTED_TRIALS = 8
"""Of each arm."""


def search_summary(comparison: Comparison) -> list[str]:
    """The best trial of each arm, with the values that it was given."""
    found = []
    for name, trials in _by_arm(comparison).items():
        value = _value(trials[0], comparison.metric)
        if value is None:
            found.append(f"{name}: none of {len(trials)} trials has finished.")
            continue
        drawn = ", ".join(f"{key} = {_text(v)}" for key, v in _drawn(trials[0]).items())
        found.append(
            f"{name}: the best of {len(trials)} trials is {trials[0].name} with "
            f"{comparison.metric} {value:.4f}" + (f" ({drawn})." if drawn else ".")
        )
    return [*found, "The best of many flatters itself: give it fresh seeds before you believe it."]


def trials_table(comparison: Comparison) -> Table:
    """The best trials, each with the values that it was given and what came of them."""
    keys = sorted({key for trial in comparison.arms for key in _drawn(trial)})
    rows = []
    best = [trial for trials in _by_arm(comparison).values() for trial in trials[:LISTED_TRIALS]]
    for trial in best:
        value, drawn = _value(trial, comparison.metric), _drawn(trial)
        shown = MISSING if value is None else f"{value:.4f}"
        texts = (_text(drawn[key]) if key in drawn else MISSING for key in keys)
        rows.append((trial.name, trial.runs[-1].state, *texts, shown))
    title = f"the best of {len(comparison.arms)} trials, by arm"
    header = ("arm", "state", *keys, comparison.metric)
    return Table(title, header, tuple(rows), len(header) - 1)


def _value(trial: ArmRuns, metric: str) -> float | None:
    return next(iter(trial.values(metric).values()), None)


def _drawn(trial: ArmRuns) -> dict[str, Any]:
    return trial.runs[-1].drawn


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _by_arm(comparison: Comparison) -> dict[str, list[ArmRuns]]:
    """The trials of each arm of the experiment, in the order of the comparison: the best first."""
    found: dict[str, list[ArmRuns]] = {}
    for trial in comparison.arms:
        found.setdefault(str(trial.runs[0].resolved["arm"]), []).append(trial)
    return found
