"""What a sweep will train: an explicit list of runs, in the order in which they are begun."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clozebox.config import settings_of
from clozebox.config.settings import Arm, Experiment
from clozebox.config.space import combinations


@dataclass(frozen=True)
class PlannedRun:
    """One run to be made: an arm, a seed and its folder below the experiment's."""

    arm: Arm
    seed: int
    folder: str
    trial: int | None = None
    """Which trial of the arm's search it is; None when the arms themselves are the plan."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What is fixed before it is begun: a point of a grid, or the values of the best trial."""
    is_fresh: bool = False
    """Whether it is the best trial of its arm once more, on a seed that no trial has seen."""

    @property
    def is_searched(self) -> bool:
        """Whether it is a trial of its arm's search."""
        return self.trial is not None and not self.is_fresh

    @property
    def label(self) -> str:
        """What the run is called on screen."""
        parts = [self.arm.name]
        if self.trial is not None:
            parts.append(f"trial {self.trial}")
        if not self.is_searched:
            parts.append(f"seed {self.seed}")
        return " ".join(parts)


def plan_runs(experiment: Experiment) -> tuple[PlannedRun, ...]:
    """Every run of an experiment, all arms of the first seed (or trial) first.

    So a comparison of all arms exists early, and stopping at any time leaves the arms with equally
    many runs, give or take one. A search trains each trial at the first seed only: the best of it
    is given fresh seeds afterwards (`fresh_plan`).
    """
    if experiment.sweep.space:
        return _trials(experiment)
    return tuple(
        PlannedRun(arm, seed, f"{arm.name}/seed-{seed}")
        for seed in experiment.seeds
        for arm in experiment.arms
    )


def fresh_plan(experiment: Experiment, best: list[PlannedRun]) -> tuple[PlannedRun, ...]:
    """The best trials (with their values) on seeds that no trial has seen, each seed in turn."""
    seeds = [(experiment.seeds[0] + n) % 2**63 for n in range(1, experiment.sweep.fresh_seeds + 1)]
    return tuple(
        PlannedRun(
            run.arm, seed, f"{trial_folder(run)}/seed-{seed}", run.trial, run.values, is_fresh=True
        )
        for seed in seeds
        for run in best
    )


def trial_folder(run: PlannedRun) -> str:
    """A trial's folder below the experiment's, with a run for each seed in it."""
    return f"{run.arm.name}.trial-{run.trial}"


def _trials(experiment: Experiment) -> tuple[PlannedRun, ...]:
    sweep, seed = experiment.sweep, experiment.seeds[0]
    points: dict[str, list[dict[str, Any]]] = {}
    for arm in experiment.arms:
        if sweep.sampler in ("grid", "brute_force"):
            points[arm.name] = combinations(sweep.space, settings_of(arm))
        if sweep.sampler == "brute_force":
            # The same order for every arm that has the same points, and part of it is a sample.
            random.Random(seed).shuffle(points[arm.name])
            points[arm.name] = points[arm.name][: sweep.trials]
    most = max(map(len, points.values())) if points else sweep.trials
    return tuple(
        PlannedRun(
            arm,
            seed,
            f"{arm.name}.trial-{trial}/seed-{seed}",
            trial,
            points[arm.name][trial] if points else {},
        )
        for trial in range(most)
        for arm in experiment.arms
        if not points or trial < len(points[arm.name])
    )
