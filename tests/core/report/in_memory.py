"""Comparisons of numbers, with no runs on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clozebox.report.arms import ArmRuns
from clozebox.report.comparison import Comparison
from clozebox.report.records import Evaluation, RunRecord


def compared(
    arms: Mapping[str, Sequence[Mapping[str, Any]]],
    metric: str = "eval/loss",
    effect: float | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Comparison:
    """One finished run per seed of each arm; a run is ``{metric: value or curve, "flops": ...}``.

    A curve is a sequence of values, each evaluation at its share of the FLOPs.
    """
    made = [
        ArmRuns(name, tuple(_run(name, seed, run, settings) for seed, run in enumerate(runs)))
        for name, runs in arms.items()
    ]
    return Comparison(Path(), tuple(made), metric, effect)


def _run(
    arm: str, seed: int, run: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]] | None
) -> RunRecord:
    curves = {
        name: value if isinstance(value, Sequence) else [value]
        for name, value in run.items()
        if name != "flops"
    }
    looks = len(next(iter(curves.values())))
    spent = run.get("flops")
    evaluations = tuple(
        Evaluation(
            {} if spent is None else {"flops": spent * (look + 1) / looks},
            {name: curve[look] for name, curve in curves.items()},
        )
        for look in range(looks)
    )
    resolved = {"arm": arm, "seed": seed, "settings": (settings or {}).get(arm, {})}
    return RunRecord(Path(arm), resolved, {"state": "done"}, evaluations, {}, is_held=False)
