"""The runs of an experiment, grouped by arm and set against the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from clozebox.errors import UserError, did_you_mean
from clozebox.report.arms import ArmRuns, best_first, grouped, with_first
from clozebox.report.differences import instrument_differences
from clozebox.report.efficiency import Efficiency, efficiency
from clozebox.report.metric_names import falls, unit
from clozebox.report.power import Sensitivity, sensitivity
from clozebox.report.records import COSTS, RunRecord, read_runs
from clozebox.report.statistics import (
    Estimate,
    PairedDifference,
    estimate,
    holm,
    paired_difference,
)
from clozebox.report.winners import Winner, choosing_seeds, fresh_runs, read_findings, winners_in

DEFAULT_METRIC = "eval/cloze_loss"


@dataclass(frozen=True)
class Row:
    """An arm on one metric. There is no difference for the baseline, for an arm that shares no
    seed with it, and for one that was not measured alike."""

    arm: ArmRuns
    estimate: Estimate | None
    difference: PairedDifference | None = None
    p: float | None = None
    """Two-sided p of the paired t test, Holm-adjusted over the arms."""
    sensitivity: Sensitivity | None = None
    efficiency: Efficiency | None = None
    """Both on the main metric alone."""
    unlike: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Settings, with the baseline's value and the arm's, that make the metric another quantity."""


@dataclass(frozen=True)
class Comparison:
    """Arms in the order of the experiment, baseline first.

    Of a search they are its winners on fresh seeds; before there are such, all of its trials, the
    best first, which are not tested.
    """

    folder: Path
    arms: tuple[ArmRuns, ...]
    metric: str
    """The metric that the verdict is about."""
    effect: float | None = None
    """The smallest difference that would matter, if somebody said so."""
    trials: tuple[ArmRuns, ...] = ()
    """Of a search: each on the seed that all trials were chosen on, the best first."""
    winners: tuple[Winner, ...] = ()
    """Of a search: what its arms were drawn as; empty while none has a run on a fresh seed."""

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

    @property
    def trial_runs(self) -> list[RunRecord]:
        return [run for trial in self.trials for run in trial.runs]

    @property
    def every_run(self) -> list[RunRecord]:
        """Those of the arms, and those of the trials that they were chosen from."""
        return [*self.runs, *self.trial_runs] if self.winners else self.runs

    @property
    def ranks_trials(self) -> bool:
        """Whether the arms are trials of a search: one seed each, chosen by what came before."""
        return bool(self.trials) and not self.winners

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every final metric of any finished run, the main one first."""
        found = _metrics_of([run for run in self.runs if run.state == "done"])
        return (self.metric, *sorted(found - {self.metric}))

    def rows(self, metric: str) -> list[Row]:
        """One row per arm; an arm that lacks the metric has an empty one."""
        if metric not in self._rows:
            self._rows[metric] = self._compared(metric)
        return self._rows[metric]

    def lower_is_better(self, metric: str) -> bool | None:
        """Which way a metric points, by the experiment or by its name; None where neither says."""
        if metric == self.resolved.get("metric"):
            return bool(self.resolved.get("direction", "minimize") == "minimize")
        return falls(metric)

    @property
    def unit(self) -> str:
        """What the main metric is counted in: nats, points, or nothing known."""
        return unit(self.metric)

    @cached_property
    def _rows(self) -> dict[str, list[Row]]:
        return {}

    def _compared(self, metric: str) -> list[Row]:
        values = [arm.values(metric) for arm in self.arms]
        unlike = [instrument_differences(self.baseline, arm, metric) for arm in self.arms]
        differences = [
            None if arm is self.baseline or unlike[i] else paired_difference(values[i], values[0])
            for i, arm in enumerate(self.arms)
        ]
        tested = {i: d.p_t for i, d in enumerate(differences) if d and d.p_t is not None}
        adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
        rows = [
            Row(
                arm=arm,
                estimate=estimate(list(values[i].values())) if values[i] else None,
                difference=differences[i],
                p=adjusted.get(i),
                unlike=unlike[i],
            )
            for i, arm in enumerate(self.arms)
        ]
        return [self._weighed(row, len(tested)) for row in rows] if metric == self.metric else rows

    def _weighed(self, row: Row, tests: int) -> Row:
        """The row of the main metric, with what its difference can tell and is worth."""
        if row.difference is None:
            return row
        found, lower = row.difference.estimate, self.lower_is_better(self.metric)
        return replace(
            row,
            sensitivity=sensitivity(found, tests, self.effect),
            efficiency=efficiency(row.arm, self.baseline, self.metric, found, lower),
        )


def compare_runs(
    folder: Path,
    metric: str | None = None,
    baseline: str | None = None,
    effect: float | None = None,
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
    planned = str(runs[0].resolved.get("metric") or DEFAULT_METRIC)
    known = _known_metric(runs, metric, planned)
    comparison = Comparison(folder, grouped(runs), known, effect)
    if any(run.trial is not None for run in runs):
        comparison = _of_search(comparison, runs)
    if baseline is not None:
        comparison = replace(comparison, arms=with_first(comparison.arms, baseline))
    return comparison


def _of_search(comparison: Comparison, runs: Sequence[RunRecord]) -> Comparison:
    findings, metric = read_findings(comparison.folder), comparison.metric
    chosen_on = choosing_seeds(runs, findings)
    searched = [run for run in runs if run.trial is None or run.seed in chosen_on]
    lower = comparison.lower_is_better(metric) is not False
    trials = best_first(grouped(searched), metric, lower)
    arms = list(dict.fromkeys(str(run.resolved["arm"]) for run in runs))
    winners = () if findings is None else winners_in(findings, arms)
    fresh = grouped(fresh_runs(runs, winners, chosen_on))
    if not fresh:
        return replace(comparison, arms=trials, trials=trials)
    return replace(comparison, arms=fresh, trials=trials, winners=winners)


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
