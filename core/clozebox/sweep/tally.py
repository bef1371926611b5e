"""How far a sweep is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from clozebox.sweep.plan import PlannedRun


@dataclass(frozen=True)
class Failure:
    """A run that came to nothing, why, and where to read more."""

    label: str
    reason: str
    log: Path


@dataclass(frozen=True)
class Tally:
    """The runs of a plan by how they ended; the rest wait or are being trained."""

    planned: int
    done: int
    pruned: int
    failed: tuple[Failure, ...]
    dropped: tuple[Failure, ...]
    """Of the pruned: those that diverged, or whose values no arm can take."""
    training: tuple[str, ...]
    """Runs that some sweep is training, each with its host."""

    @property
    def ended(self) -> int:
        return self.done + self.pruned + len(self.failed)


def tally_of(plan: Sequence[PlannedRun], latest: Mapping[str, FrozenTrial], root: Path) -> Tally:
    """Count the newest trial of each planned run."""
    trials = [(run, latest[run.folder]) for run in plan if run.folder in latest]
    states = [trial.state for _, trial in trials]
    return Tally(
        planned=len(plan),
        done=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        failed=tuple(
            _failure(run, trial, root) for run, trial in trials if trial.state is TrialState.FAIL
        ),
        dropped=tuple(
            _failure(run, trial, root)
            for run, trial in trials
            if trial.state is TrialState.PRUNED and "reason" in trial.user_attrs
        ),
        training=tuple(
            f"{run.label} on {trial.user_attrs.get('host', 'an unnamed host')}"
            for run, trial in trials
            if trial.state is TrialState.RUNNING
        ),
    )


def _failure(run: PlannedRun, trial: FrozenTrial, root: Path) -> Failure:
    reason = trial.user_attrs.get("reason", "unknown")
    return Failure(run.label, reason, root / run.folder / "log.txt")
