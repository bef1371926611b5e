"""What a study knows of the runs of a plan: filled little by little, read no oftener than pays.

Optuna reads every unfinished trial anew at each look. A thousand that wait would make each look
cost a fifth of a second, and a sweep looks several times for each run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from clozebox.sweep.hosts import Locks
from clozebox.sweep.plan import PlannedRun
from clozebox.sweep.study import fills_little_by_little, study_name
from clozebox.sweep.workspace import Workspace, saved_values
from clozebox.training import RunDirectory

HANDOVER = timedelta(minutes=1)
"""After this long, a running trial that names no host was left by a sweep that died naming it."""
AHEAD = 32
"""How many trials wait in a SQLite study at one time."""
REST = 20
"""A look that costs a second is not repeated for so many, unless it is needed."""


class Trials:
    """The newest trial of each planned run, as of the last look."""

    def __init__(
        self,
        workspace: Workspace,
        plan: Sequence[PlannedRun],
        storage: BaseStorage,
        host: str,
        locks: Locks,
    ) -> None:
        self.workspace, self.plan, self.storage, self.host = workspace, plan, storage, host
        self.locks = locks
        self.root = workspace.root
        names = {run.folder: study_name(workspace.experiment, run) for run in plan}
        self.studies = {
            name: storage.get_study_id_from_name(name) for name in sorted(set(names.values()))
        }
        self._study_of = {folder: self.studies[name] for folder, name in names.items()}
        self.latest: dict[str, FrozenTrial] = {}
        self._again: dict[str, int] = {}
        """Trials that ended and are to be made again."""
        self._retry_failed = False
        self._looked = self._cost = 0.0

    def look(self) -> None:
        """Read every study again."""
        begun = time.monotonic()
        self.latest = {
            trial.user_attrs["folder"]: trial
            for study_id in self.studies.values()
            for trial in self.storage.get_all_trials(study_id, deepcopy=False)
            if "folder" in trial.user_attrs  # one that somebody else asked for has none
        }
        self._looked = time.monotonic()
        self._cost = self._looked - begun

    def look_if_old(self) -> None:
        """Read again once the last look is old for what it cost: other sweeps work on it too."""
        if time.monotonic() - self._looked > max(1.0, REST * self._cost):
            self.look()

    def note(self, folder: str, trial_id: int) -> FrozenTrial:
        """Read one trial again."""
        trial = self.latest[folder] = self.storage.get_trial(trial_id)
        return trial

    def begin(self, retry_failed: bool) -> None:
        """Decide which trials are to be made again, and fill."""
        self.look()
        self._retry_failed = retry_failed
        self._again = {
            run.folder: trial.number
            for run in self.plan
            if (trial := self.latest.get(run.folder)) is not None
            and self._is_void(run, trial, retry_failed)
        }
        self.fill()

    def fill(self) -> bool:
        """Enqueue the next runs that no trial stands for; whether there were any."""
        if not self._missing():
            return False
        with self.locks.alone(self.root):
            self.look()
            missing = self._missing()
            if fills_little_by_little(self.storage):
                waiting = [t for t in self.latest.values() if t.state is TrialState.WAITING]
                missing = missing[: max(1, AHEAD - len(waiting))]
            studies = {
                study_id: optuna.load_study(study_name=name, storage=self.storage)
                for name, study_id in self.studies.items()
            }
            for run in missing:
                studies[self._study_of[run.folder]].enqueue_trial(
                    dict(run.values) or saved_values(self.root / run.folder),
                    user_attrs={
                        "folder": run.folder,
                        "arm": run.arm.name,
                        "seed": run.seed,
                        "retry": self._retry_failed,
                    },
                )
            self.look()
        return bool(missing)

    def is_open(self, trial: FrozenTrial) -> bool:
        """Whether it may be claimed here, should its directory turn out not to be locked."""
        if trial.state is not TrialState.RUNNING:
            return trial.state is TrialState.WAITING
        if self.locks.spans_hosts:
            return True
        if self._is_nameless(trial) and trial.datetime_start is not None:
            return datetime.now() - trial.datetime_start > HANDOVER
        return bool(trial.user_attrs.get("host") == self.host)

    def open_runs(self) -> list[str]:
        """The runs that wait, or are being trained by somebody on this host."""
        return [
            run.label
            for run in self.plan
            if (trial := self.latest.get(run.folder)) is None
            or self.is_open(trial)
            or self._is_nameless(trial)  # left by a sweep that died: it will be ours in a minute
        ]

    def is_done(self, run: PlannedRun) -> bool:
        """Whether the disk says so."""
        status = RunDirectory(self.root / run.folder).status() or {}
        return bool(status.get("state") == "done")

    def _is_nameless(self, trial: FrozenTrial) -> bool:
        return trial.state is TrialState.RUNNING and trial.user_attrs.get("host") is None

    def _missing(self) -> list[PlannedRun]:
        return [
            run
            for run in self.plan
            if (trial := self.latest.get(run.folder)) is None
            or self._again.get(run.folder) == trial.number
        ]

    def _is_void(self, run: PlannedRun, trial: FrozenTrial, retry_failed: bool) -> bool:
        """Whether it failed and is to be retried, or its directory was deleted since."""
        if trial.state is TrialState.FAIL:
            return retry_failed
        here = trial.user_attrs.get("host") == self.host
        return trial.state is TrialState.COMPLETE and here and not self.is_done(run)
