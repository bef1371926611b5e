"""A whole sweep: plan, queue, train, count; and, after a search, its best on fresh seeds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

from optuna.storages import BaseStorage

from clozebox.sweep.best import Best, Confirmed, best_of, confirmed, with_values
from clozebox.sweep.devices import Devices, ranks_of, workers_for
from clozebox.sweep.findings import write_findings
from clozebox.sweep.job import Command, training_command
from clozebox.sweep.plan import PlannedRun, fresh_plan, plan_runs
from clozebox.sweep.progress import Progress
from clozebox.sweep.run_queue import RunQueue
from clozebox.sweep.study import open_storage
from clozebox.sweep.tally import Tally
from clozebox.sweep.worker import Supervisor
from clozebox.sweep.workspace import Workspace


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to."""

    tally: Tally
    best: tuple[Best, ...]
    stopped_by: int | None
    """The signal that ended it early."""
    fresh: Tally | None = None
    """The runs of the best trials on fresh seeds; None before the search is through."""
    confirmed: tuple[Confirmed, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """0 done, 1 a run failed, 128 + signal when it was interrupted and saved."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 1 if self.tally.failed or (self.fresh and self.fresh.failed) else 0


@dataclass(frozen=True)
class Leg:
    """A plan that was worked through, or stopped."""

    queue: RunQueue
    tally: Tally
    stopped_by: int | None


@dataclass(frozen=True)
class Crew:
    """Who trains the runs of a plan, and how."""

    workspace: Workspace
    storage: BaseStorage
    workers: int | None
    devices: Sequence[str] | None
    command: Command
    stream: TextIO
    retry_failed: bool

    def train(self, plan: Sequence[PlannedRun]) -> Leg:
        """Train every run of a plan that is not done.

        Raises:
            UserError: runs on disk do not fit the experiment.
        """
        self.workspace.check_unchanged(plan)
        queue = RunQueue(self.workspace, plan, self.storage)
        try:
            queue.trials.begin(self.retry_failed)
            progress = Progress(self.stream, self.workspace.experiment.sweep.metric)
            workers, devices = self.workers or 1, None
            if self.devices is not None:
                workers = workers_for(self.devices, ranks_of(plan), self.workers)
                devices = Devices(self.devices)
            stopped_by = Supervisor(queue, progress, workers, self.command, devices).work()
            queue.trials.look()
        finally:
            queue.locks.close()
        return Leg(queue, queue.tally(), stopped_by)


def run_sweep(
    workspace: Workspace,
    *,
    workers: int | None = None,
    devices: Sequence[str] | None = None,
    storage: str | None = None,
    retry_failed: bool = False,
    command: Command = training_command,
    stream: TextIO | None = None,
) -> SweepResult:
    """Train every run of an experiment that is not done, ``workers`` at a time, or one.

    Of ``devices`` each gets its own, as many as it has ranks, and as many are trained as have some.

    Calling it again continues; calling it twice at once shares the work. Runs that failed are left
    alone unless ``retry_failed``. When a search is through, the best trial of each arm is trained
    on fresh seeds.

    Raises:
        UserError: the storage, or runs on disk, do not fit the experiment.
    """
    experiment = workspace.experiment
    sweep, plan = experiment.sweep, plan_runs(experiment)
    workspace.check_unchanged(plan)  # before a database is made
    with open_storage(storage, workspace.root) as database:
        crew = Crew(
            workspace, database, workers, devices, command, stream or sys.stdout, retry_failed
        )
        leg = crew.train(plan)
        tally, best = leg.tally, best_of(plan, leg.queue.trials.latest, sweep)
        result = SweepResult(tally, best, leg.stopped_by)
        through = leg.stopped_by is None and tally.ended == tally.planned
        if sweep.space and sweep.fresh_seeds and through and best:
            write_findings(workspace, plan, leg.queue.trials, result)  # who is followed from now on
            again = fresh_plan(experiment, with_values(best))
            print(_heading(len(best), sweep.fresh_seeds), file=crew.stream, flush=True)
            second = crew.train(again)
            result = SweepResult(
                tally,
                best,
                second.stopped_by,
                second.tally,
                confirmed(best, again, second.queue.trials.latest),
            )
        if sweep.space:
            write_findings(workspace, plan, leg.queue.trials, result)
        return result


def _heading(trials: int, seeds: int) -> str:
    return f"the best {'trial' if trials == 1 else f'{trials} trials'} on {seeds} fresh seed(s):"
