"""The runs of a sweep as Optuna trials: claimed by one worker at a time, finished exactly once.

The disk is the truth and the study only the queue. A run whose directory says ``done`` is never
trained again, whatever the database says and even if it is gone.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from clozebox.config import ConfigError
from clozebox.sweep.lock import FolderLock, trains_alone
from clozebox.sweep.outcome import Outcome, outcome_on_disk
from clozebox.sweep.plan import PlannedRun
from clozebox.sweep.search import suggest
from clozebox.sweep.study import load_study, make_study, study_name
from clozebox.sweep.tally import Best, Tally, best_of, tally_of
from clozebox.sweep.workspace import Workspace, save_values, saved_values
from clozebox.training import RunDirectory

HANDOVER = timedelta(minutes=1)
"""After this long, a running trial that names no host was left by a sweep that died naming it."""


@dataclass(frozen=True, eq=False)
class Claim:
    """A run that is this process's to train, until it is finished or given back."""

    run: PlannedRun
    directory: RunDirectory
    trial: optuna.Trial
    trial_id: int
    reported: set[int]
    """The evaluations that the study knows already, from before an interruption."""
    lock: FolderLock


class RunQueue:
    """All runs of an experiment, shared by every sweep that opens the same storage."""

    def __init__(
        self, workspace: Workspace, plan: Sequence[PlannedRun], storage: BaseStorage
    ) -> None:
        self.workspace, self.plan = workspace, plan
        self.experiment, self.root = workspace.experiment, workspace.root
        self.host = socket.gethostname()
        self.storage = storage
        with FolderLock.acquire(self.root):
            for run in {study_name(self.experiment, run): run for run in plan}.values():
                make_study(self.storage, self.experiment, run)

    def fill(self, retry_failed: bool) -> None:
        """Enqueue each planned run that has no trial yet, or whose trial has to be made again."""
        with FolderLock.acquire(self.root):
            latest = self.latest()
            for run in self.plan:
                trial = latest.get(run.folder)
                if trial is None or self._is_void(run, trial, retry_failed):
                    name = study_name(self.experiment, run)
                    optuna.load_study(study_name=name, storage=self.storage).enqueue_trial(
                        saved_values(self.root / run.folder),
                        user_attrs={
                            "folder": run.folder,
                            "arm": run.arm.name,
                            "seed": run.seed,
                            "retry": retry_failed,
                        },
                    )

    def latest(self) -> dict[str, FrozenTrial]:
        """The newest trial of each run, by the run's folder."""
        names = {study_name(self.experiment, run) for run in self.plan}
        trials = [
            trial
            for name in sorted(names)
            for trial in self.storage.get_all_trials(
                self.storage.get_study_id_from_name(name), deepcopy=False
            )
        ]
        return {trial.user_attrs["folder"]: trial for trial in trials}

    def claim(self) -> Claim | None:
        """The first run of the plan that is free, or None.

        The lock comes first: SQLite's half of Optuna's queue can hand one trial to two processes.
        """
        latest = self.latest()
        for run in self.plan:
            trial = latest.get(run.folder)
            if trial is None or not self._is_open(trial):
                continue
            lock = FolderLock.try_acquire(self.root / run.folder)
            if lock is None:
                continue
            try:
                claim = self._take(run, trial.number, lock)
                outcome = None if claim is None else self._begin(claim)
            except BaseException:
                lock.release()
                raise
            if claim is None:
                lock.release()
            elif outcome is not None:
                self.finish(claim, outcome)
            else:
                return claim
        return None

    def finish(self, claim: Claim, outcome: Outcome) -> None:
        """Tell the study how a claimed run ended and let go; an interrupted one waits again."""
        if outcome.reason is not None:
            claim.trial.set_user_attr("reason", outcome.reason)
        state = self._state_of(claim.run, outcome)
        if state is TrialState.WAITING:
            # The same trial, not a failed one and its copy: it keeps its number and its values.
            self.storage.set_trial_state_values(claim.trial_id, state)
        else:
            claim.trial.study.tell(claim.trial, values=outcome.value, state=state)
        claim.lock.release()

    def tally(self) -> Tally:
        """How many runs ended, and how."""
        return tally_of(self.plan, self.latest(), self.root)

    def best(self) -> tuple[Best, ...]:
        """The best finished run of each arm."""
        return best_of(self.plan, self.latest(), self.experiment.sweep.direction)

    def open_runs(self) -> list[str]:
        """The runs that wait, or are being trained by somebody on this host."""
        latest = self.latest()
        return [
            run.label
            for run in self.plan
            if run.folder in latest and self._is_open(latest[run.folder])
        ]

    def _take(self, run: PlannedRun, number: int, lock: FolderLock) -> Claim | None:
        directory = RunDirectory(self.root / run.folder)
        if trains_alone(directory.path):
            return None
        study = load_study(self.storage, self.experiment, run)
        study_id = self.storage.get_study_id_from_name(study.study_name)
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, number)
        held = self.storage.get_trial(trial_id)
        if not self._is_open(held) or not self._set_running(trial_id, held.state):
            return None
        self.storage.set_trial_user_attr(trial_id, "host", self.host)
        trial = optuna.Trial(study, trial_id)
        return Claim(run, directory, trial, trial_id, set(held.intermediate_values), lock)

    def _begin(self, claim: Claim) -> Outcome | None:
        """Write what the run is to do; an outcome when there is nothing to train.

        A range holds values that its ends do not speak for, such as a width that the number of
        heads does not divide. They are tried before they are saved.
        """
        values = suggest(claim.trial, self.experiment.sweep.space)
        try:
            self.workspace.arm_of(claim.run, values)
        except ConfigError as error:
            return Outcome("refused", reason="; ".join(error.problems))
        if values:
            save_values(claim.directory.path, values)
        self.workspace.create(claim.run, values)
        return self._ended_before(claim)

    def _set_running(self, trial_id: int, state: TrialState) -> bool:
        """False when another host, whose locks are not ours, was faster."""
        try:
            was_waiting = self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            return False
        return was_waiting or state is TrialState.RUNNING

    def _ended_before(self, claim: Claim) -> Outcome | None:
        """What an earlier sweep, whose study is lost or who died before telling, came to."""
        outcome = outcome_on_disk(claim.directory, self.experiment.sweep.metric)
        retry = claim.trial.user_attrs["retry"] and not self._is_done(claim.run)
        return None if retry else outcome

    def _is_done(self, run: PlannedRun) -> bool:
        status = RunDirectory(self.root / run.folder).status() or {}
        return bool(status.get("state") == "done")

    def _is_open(self, trial: FrozenTrial) -> bool:
        """Whether it may be claimed here, should its directory turn out not to be locked."""
        if trial.state is not TrialState.RUNNING:
            return trial.state is TrialState.WAITING
        host = trial.user_attrs.get("host")
        if host is None and trial.datetime_start is not None:
            return datetime.now() - trial.datetime_start > HANDOVER
        return bool(host == self.host)

    def _is_void(self, run: PlannedRun, trial: FrozenTrial, retry_failed: bool) -> bool:
        """Whether it failed and is to be retried, or its directory was deleted since."""
        if trial.state is TrialState.FAIL:
            return retry_failed
        here = trial.user_attrs.get("host") == self.host
        return trial.state is TrialState.COMPLETE and here and not self._is_done(run)

    def _state_of(self, run: PlannedRun, outcome: Outcome) -> TrialState:
        if outcome.state == "diverged" and run.trial is not None:
            return TrialState.PRUNED  # a sampler learns from pruned trials, and nothing from failed
        return {
            "done": TrialState.COMPLETE,
            "pruned": TrialState.PRUNED,
            "refused": TrialState.PRUNED,
            "interrupted": TrialState.WAITING,
        }.get(outcome.state, TrialState.FAIL)
