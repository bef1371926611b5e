"""A whole sweep: plan, queue, train, count."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TextIO

from clozebox.sweep.job import Command, training_command
from clozebox.sweep.plan import plan_runs
from clozebox.sweep.progress import Progress
from clozebox.sweep.run_queue import RunQueue
from clozebox.sweep.study import open_storage
from clozebox.sweep.tally import Best, Tally
from clozebox.sweep.worker import Supervisor
from clozebox.sweep.workspace import Workspace


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to."""

    tally: Tally
    best: tuple[Best, ...]
    stopped_by: int | None
    """The signal that ended it early."""

    @property
    def exit_code(self) -> int:
        """0 done, 1 a run failed, 128 + signal when it was interrupted and saved."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 1 if self.tally.failed else 0


def run_sweep(
    workspace: Workspace,
    *,
    workers: int = 1,
    storage: str | None = None,
    retry_failed: bool = False,
    command: Command = training_command,
    stream: TextIO | None = None,
) -> SweepResult:
    """Train every run of an experiment that is not done, ``workers`` at a time.

    Calling it again continues; calling it twice at once shares the work. Runs that failed are left
    alone unless ``retry_failed``.

    Raises:
        UserError: the storage, or runs on disk, do not fit the experiment.
    """
    experiment = workspace.experiment
    plan = plan_runs(experiment)
    workspace.check_unchanged(plan)
    with open_storage(storage, workspace.root) as database:
        queue = RunQueue(workspace, plan, database)
        queue.fill(retry_failed)
        progress = Progress(stream or sys.stdout, experiment.sweep.metric)
        stopped_by = Supervisor(queue, progress, workers, command).work()
        return SweepResult(queue.tally(), queue.best(), stopped_by)
