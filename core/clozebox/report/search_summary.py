"""What a search found: words about its winners, words and a table about its best trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from clozebox.report.arms import ArmRuns
from clozebox.report.comparison import Comparison
from clozebox.report.numbers import MISSING
from clozebox.report.tables import Table
from clozebox.report.winners import Winner

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
        found.append(
            f"{name}: the best of {len(trials)} trials is {trials[0].name} with "
            f"{comparison.metric} {value:.4f}{_values(_drawn(trials[0]))}."
        )
    return [*found, "The best of many flatters itself: give it fresh seeds before you believe it."]


def winner_notes(comparison: Comparison) -> list[str]:
    """What each arm was chosen as, and by how much that flattered it."""
    if not comparison.winners:
        return []
    chosen = "Each arm is the best trial of a search, run again on seeds that chose nothing; the "
    said = [chosen + "seed that chose it is in none of its numbers."]
    arms = {arm.name: arm for arm in comparison.arms}
    for winner in comparison.winners:
        found = f"{winner.name}: trial {winner.trial} of {winner.trials}{_values(winner.drawn)}, "
        found += f"{winner.value:.4f} on the seed that chose it"
        arm = arms.get(winner.name)
        said.append(found + _on_fresh_seeds(winner, arm, str(comparison.resolved.get("metric"))))
    return said


def _on_fresh_seeds(winner: Winner, arm: ArmRuns | None, metric: str) -> str:
    values = {} if arm is None else arm.values(metric)
    here = set() if arm is None else {run.seed for run in arm.runs}
    told = ", and none is finished on a fresh one."
    if values:
        told = f", {fmean(values.values()):.4f} on average on {len(values)} fresh."
    if away := ", ".join(str(seed) for seed in sorted(set(winner.fresh) - here)):
        told += f" Left out: seed {away}, trained on a machine whose files are not here."
    return told


def trials_table(comparison: Comparison) -> Table:
    """The best trials, each with the values that it was given and what came of them."""
    keys = sorted({key for trial in comparison.trials for key in _drawn(trial)})
    rows = []
    best = [trial for trials in _by_arm(comparison).values() for trial in trials[:LISTED_TRIALS]]
    for trial in best:
        value, drawn = _value(trial, comparison.metric), _drawn(trial)
        shown = MISSING if value is None else f"{value:.4f}"
        texts = (_text(drawn[key]) if key in drawn else MISSING for key in keys)
        rows.append((trial.name, trial.runs[-1].state, *texts, shown))
    title = f"the best of {len(comparison.trials)} trials, by arm"
    header = ("arm", "state", *keys, comparison.metric)
    return Table(title, header, tuple(rows), len(header) - 1)


def _value(trial: ArmRuns, metric: str) -> float | None:
    return next(iter(trial.values(metric).values()), None)


def _drawn(trial: ArmRuns) -> dict[str, Any]:
    return trial.runs[-1].drawn


def _values(drawn: Mapping[str, Any]) -> str:
    """`` (optim.lr = 0.001)``; nothing where nothing was drawn."""
    listed = ", ".join(f"{key} = {_text(value)}" for key, value in drawn.items())
    return f" ({listed})" if listed else ""


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _by_arm(comparison: Comparison) -> dict[str, list[ArmRuns]]:
    """The trials of each arm of the experiment, the best first."""
    found: dict[str, list[ArmRuns]] = {}
    for trial in comparison.trials:
        found.setdefault(str(trial.runs[0].resolved["arm"]), []).append(trial)
    return found
