"""What a sweep will train: an explicit list of runs, in the order in which they are begun."""

from __future__ import annotations

from dataclasses import dataclass

from clozebox.config.settings import Arm, Experiment


@dataclass(frozen=True)
class PlannedRun:
    """One run to be made: an arm, a seed and its folder below the experiment's."""

    arm: Arm
    seed: int
    folder: str
    trial: int | None = None
    """Which trial of the arm's search it is; None when the arms themselves are the plan."""

    @property
    def label(self) -> str:
        """What the run is called on screen."""
        return f"{self.arm.name} " + (
            f"seed {self.seed}" if self.trial is None else f"trial {self.trial}"
        )


def plan_runs(experiment: Experiment) -> tuple[PlannedRun, ...]:
    """Every run of an experiment, all arms of the first seed (or trial) first.

    So a comparison of all arms exists early, and stopping at any time leaves the arms with equally
    many runs, give or take one. A search trains each trial at the first seed only: the best of it
    deserves fresh seeds, because the best of many trials is flattered by its own selection.
    """
    if experiment.sweep.space:
        seed = experiment.seeds[0]
        return tuple(
            PlannedRun(arm, seed, f"{arm.name}.trial-{trial}/seed-{seed}", trial)
            for trial in range(experiment.sweep.trials)
            for arm in experiment.arms
        )
    return tuple(
        PlannedRun(arm, seed, f"{arm.name}/seed-{seed}")
        for seed in experiment.seeds
        for arm in experiment.arms
    )
