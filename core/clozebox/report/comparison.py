"""The runs of an experiment, grouped by arm and set against the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clozebox.errors import UserError, did_you_mean
from clozebox.report.records import COSTS, RunRecord, finite, read_runs
from clozebox.report.statistics import (
    Estimate,
    PairedDifference,
    estimate,
    holm,
    paired_difference,
)

DEFAULT_METRIC = "eval/cloze_loss"


@dataclass(frozen=True)
class ArmRuns:
    """The runs of one choice, one per seed, all with the same settings."""

    name: str
    runs: tuple[RunRecord, ...]

    @property
    def finished(self) -> tuple[RunRecord, ...]:
        return tuple(run for run in self.runs if run.state == "done")

    @property
    def unfinished(self) -> tuple[RunRecord, ...]:
        return tuple(run for run in self.runs if run.state != "done")

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.runs[0].resolved["settings"])

    @property
    def parameters(self) -> int | None:
        return next((r.parameters for r in self.runs if r.parameters is not None), None)

    def values(self, metric: str) -> dict[int, float]:
        """{seed: last value of ``metric``} over the finished runs that measured a number."""
        return finite({r.seed: r.final[metric] for r in self.finished if metric in r.final})

    def mean_cost(self, cost: str) -> float | None:
        """Mean of what the finished runs spent, in steps, tokens, flops or seconds."""
        spent = [run.cost[cost] for run in self.finished if cost in run.cost]
        return math.fsum(spent) / len(spent) if spent else None


@dataclass(frozen=True)
class Row:
    """An arm on one metric; the baseline and an arm without a common seed have no difference."""

    arm: ArmRuns
    estimate: Estimate | None
    difference: PairedDifference | None
    p: float | None
    """Two-sided p of the paired t test, Holm-adjusted over the arms."""


@dataclass(frozen=True)
class Comparison:
    """Arms in the order of the experiment, the baseline first."""

    folder: Path
    arms: tuple[ArmRuns, ...]
    metric: str
    """The metric that the verdict is about."""

    @property
    def resolved(self) -> dict[str, Any]:
        return self.arms[0].runs[0].resolved

    @property
    def experiment(self) -> str:
        return str(self.resolved["experiment"])

    @property
    def question(self) -> str:
        return str(self.resolved.get("question") or self.experiment)

    @property
    def baseline(self) -> ArmRuns:
        return self.arms[0]

    @property
    def budget(self) -> str:
        """What the arms were given alike: ``steps``, ``tokens``, ``flops`` or ``seconds``."""
        given = self.baseline.settings.get("budget") or {}
        return next((kind for kind in COSTS if given.get(kind) is not None), "steps")

    @property
    def runs(self) -> list[RunRecord]:
        return [run for arm in self.arms for run in arm.runs]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every final metric of any finished run, the main one first."""
        found = _metrics_of([run for run in self.runs if run.state == "done"])
        return (self.metric, *sorted(found - {self.metric}))

    def rows(self, metric: str) -> list[Row]:
        """One row per arm; an arm that lacks the metric has an empty one."""
        base = self.baseline.values(metric)
        values = [arm.values(metric) for arm in self.arms]
        estimates = [estimate(list(v.values())) if v else None for v in values]
        differences = [
            None if arm is self.baseline else paired_difference(v, base)
            for arm, v in zip(self.arms, values, strict=True)
        ]
        tested = [i for i, d in enumerate(differences) if d is not None and d.p_t is not None]
        adjusted = holm([d.p_t for d in differences if d is not None and d.p_t is not None])
        p = dict(zip(tested, adjusted, strict=True))
        return [Row(arm, estimates[i], differences[i], p.get(i)) for i, arm in enumerate(self.arms)]

    def lower_is_better(self, metric: str) -> bool | None:
        """Which way a metric points, by the experiment or by its name; None where neither says."""
        if metric == self.resolved.get("metric"):
            return bool(self.resolved.get("direction", "minimize") == "minimize")
        last_word = metric.split("/")[-1].split("_")[-1]
        if last_word in {"loss", "perplexity", "error", "nats", "bits"}:
            return True
        return False if last_word in {"accuracy", "f1", "score", "correlation", "auc"} else None


def compare_runs(
    folder: Path, metric: str | None = None, baseline: str | None = None
) -> Comparison:
    """Read every run below ``folder`` and group them by arm.

    Raises:
        UserError: there is no run, no such metric or no such arm.
    """
    runs = read_runs(folder)
    if not runs:
        raise UserError(f"there are no runs in {folder}")
    experiments = sorted({str(run.resolved["experiment"]) for run in runs})
    if len(experiments) > 1:
        raise UserError(
            f"{folder} holds runs of several experiments, compare one: {', '.join(experiments)}"
        )
    arms = _grouped(runs)
    if baseline is not None:
        arms = _with_first(arms, baseline)
    planned = str(runs[0].resolved.get("metric") or DEFAULT_METRIC)
    return Comparison(folder, tuple(arms), _known_metric(runs, metric, planned))


def _known_metric(runs: Sequence[RunRecord], metric: str | None, planned: str) -> str:
    known = _metrics_of(runs)
    if metric is None:
        # Nothing is evaluated yet, or not with the planned yardstick: show what there is.
        return planned if planned in known or not known else min(known)
    if metric not in known:
        raise UserError(
            f"no run has measured {metric!r}{did_you_mean(metric, known)}\n"
            f"measured: {', '.join(sorted(known)) or 'nothing yet'}"
        )
    return metric


def _metrics_of(runs: Sequence[RunRecord]) -> set[str]:
    return {metric for run in runs for metric in run.final}


def _grouped(runs: Sequence[RunRecord]) -> list[ArmRuns]:
    """By arm; runs of one arm with different settings are never pooled but told apart by hash.

    Runs that never got to an evaluation do not tell: they measure nothing that could be pooled.
    """
    prints: dict[str, set[str]] = {}
    for run in runs:
        if run.evaluations:
            prints.setdefault(run.arm, set()).add(str(run.resolved["fingerprint"]))
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        mixed = len(prints.get(run.arm, ())) > 1
        name = f"{run.arm}@{run.resolved['fingerprint'][:6]}" if mixed else run.arm
        groups.setdefault(name, []).append(run)
    return [ArmRuns(name, tuple(members)) for name, members in groups.items()]


def _with_first(arms: list[ArmRuns], name: str) -> list[ArmRuns]:
    names = [arm.name for arm in arms]
    if name not in names:
        raise UserError(
            f"no arm is named {name!r}{did_you_mean(name, names)}; the arms are {', '.join(names)}"
        )
    first = arms[names.index(name)]
    return [first, *(arm for arm in arms if arm is not first)]
