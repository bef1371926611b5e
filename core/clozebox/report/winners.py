"""The winners of a search: its best trials, each by its runs on seeds that chose nothing.

The seed that a trial was chosen on flatters it, for that is why it was chosen; no mean of a winner
may hold it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clozebox.report.records import RunRecord

FINDINGS = "search.json"


@dataclass(frozen=True)
class Winner:
    """The best trial of an arm, or one of its front."""

    name: str
    """What it is called as an arm of a comparison: as its arm, if that has no other."""
    arm: str
    trial: int
    trials: int
    """Of its arm, itself among them."""
    drawn: Mapping[str, Any]
    value: float
    """What it came to on the seed that chose it."""
    fresh: Mapping[int, float]
    """{seed: value} on the others, as the sweep was told, perhaps by another machine."""


def read_findings(folder: Path) -> dict[str, Any] | None:
    """What a sweep found of a search, below an experiment's folder; None where nothing is."""
    try:
        return dict(json.loads((folder / FINDINGS).read_text("utf-8")))
    except FileNotFoundError:
        return None


def winners_in(findings: Mapping[str, Any], arms: Sequence[str]) -> tuple[Winner, ...]:
    """In the order of ``arms``, which the file does not keep."""
    return tuple(
        Winner(
            name=arm if len(found["best"]) == 1 else f"{arm}.trial-{best['trial']}",
            arm=arm,
            trial=best["trial"],
            trials=len(found["trials"]),
            drawn=best["params"],
            value=best["value"],
            fresh={int(seed): value for seed, value in best["fresh"].items()},
        )
        for arm in arms
        if (found := findings["arms"].get(arm))
        for best in found["best"]
    )


def choosing_seeds(runs: Sequence[RunRecord], findings: Mapping[str, Any] | None) -> set[int]:
    """The seed that every trial was judged on; before the findings tell, the first there is."""
    arms = findings["arms"].values() if findings else ()
    told = {int(trial["seed"]) for found in arms for trial in found["trials"]}
    return told or {min(run.seed for run in runs if run.trial is not None)}


def fresh_runs(
    runs: Sequence[RunRecord], winners: Sequence[Winner], chosen_on: set[int]
) -> list[RunRecord]:
    """Those of the winners on the other seeds, under the winners' names."""
    names = {(winner.arm, winner.trial): winner.name for winner in winners}
    return [
        replace(run, called=names[key])
        for run in runs
        if (key := (str(run.resolved["arm"]), run.trial)) in names and run.seed not in chosen_on
    ]
