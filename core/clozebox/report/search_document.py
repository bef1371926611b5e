"""The searches of an experiment as JSON: what the panels of the page are drawn from."""

from __future__ import annotations

import os
from typing import Any

from clozebox.report.comparison import Comparison
from clozebox.report.records import RunRecord
from clozebox.report.search import Search, Trial, read_searches


def search_documents(comparison: Comparison) -> list[dict[str, Any]]:
    """One for each study; none for a plan."""
    if not comparison.trials:
        return []
    runs = {os.path.relpath(run.path, comparison.folder): run for run in comparison.trial_runs}
    arms = list(dict.fromkeys(str(run.resolved["arm"]) for run in _in_order(comparison)))
    searches = [_search(found, runs) for found in read_searches(comparison.folder)]
    return sorted(searches, key=lambda one: arms.index(one["name"]) if one["name"] in arms else -1)


def _in_order(comparison: Comparison) -> list[RunRecord]:
    """As the experiment lists its arms, which its trials, the best first, are not."""
    return sorted(comparison.trial_runs, key=lambda run: int(run.resolved["arm_index"]))


def _search(found: Search, runs: dict[str, RunRecord]) -> dict[str, Any]:
    return {
        "name": found.name.partition("/")[2] or found.name,
        "minimized": found.minimized,
        "space": [vars(dimension) for dimension in found.space],
        "importance": found.importance,
        "front": found.front,
        "trials": [_trial(trial, runs.get(trial.folder or "")) for trial in found.trials],
    }


def _trial(trial: Trial, run: RunRecord | None) -> dict[str, Any]:
    """With what its run cost, and its size, which a search may choose too."""
    cost = {} if run is None else {**run.cost, "parameters": run.parameters}
    last = {"number": trial.number, "state": trial.state, "values": trial.values}
    return {**last, "drawn": dict(trial.drawn), "cost": cost}
