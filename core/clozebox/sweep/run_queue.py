"""The runs of a sweep as Optuna trials: claimed by one worker at a time, finished exactly once.

The disk is the truth and the study only the queue. A run whose directory says ``done`` is never
trained again, whatever the database says and even if it is gone.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from clozebox.config import ConfigError, settings_of
from clozebox.sweep.hosts import locks_of
from clozebox.sweep.lock import FolderLock, trains_alone
from clozebox.sweep.outcome import Outcome, outcome_on_disk
from clozebox.sweep.plan import PlannedRun
from clozebox.sweep.revival import after_a_kill
from clozebox.sweep.search import suggest
from clozebox.sweep.study import load_study, make_study, study_name
from clozebox.sweep.tally import Tally, tally_of
from clozebox.sweep.trials import Trials
from clozebox.sweep.workspace import Workspace, save_values
from clozebox.training import RunDirectory


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
    """All runs of a plan, shared by every sweep that opens the same storage."""

    def __init__(
        self, workspace: Workspace, plan: Sequence[PlannedRun], storage: BaseStorage
    ) -> None:
        self.workspace, self.plan, self.storage = workspace, plan, storage
        self.experiment, self.root = workspace.experiment, workspace.root
        self.host = socket.gethostname()
        self.locks = locks_of(storage)
        with self.locks.alone(self.root):
            for run in {study_name(self.experiment, run): run for run in plan}.values():
                make_study(self.storage, self.experiment, run)
        self.trials = Trials(workspace, plan, storage, self.host, self.locks)

    def claim(self) -> Claim | None:
        """The first run of the plan that is free, or None.

        What the last look at the study says is enough to choose by, because a trial is read again
        before it is taken.
        """
        claim = self._first_free()
        if claim is None and self.trials.fill():
            return self._first_free()
        if claim is None:
            self.trials.look()  # for the next time
        return claim

    def finish(self, claim: Claim, outcome: Outcome) -> Outcome:
        """Tell the study how a claimed run ended and let go; what that came to.

        An interrupted one waits again, and so does one that was killed, unless that is hopeless.
        """
        if outcome.state == "killed":
            outcome = after_a_kill(claim.trial, claim.directory, outcome)
        state = self._state_of(claim.run, outcome)
        if state is TrialState.WAITING:
            # The same trial, not a failed one and its copy: it keeps its number and its values.
            self.storage.set_trial_state_values(claim.trial_id, state)
        else:
            self._tell(claim, outcome, state)
        self.trials.note(claim.run.folder, claim.trial_id)
        claim.lock.release()
        return outcome

    def tally(self) -> Tally:
        """How many runs ended, and how; as of a moment ago."""
        self.trials.look_if_old()
        return tally_of(self.plan, self.trials.latest, self.root)

    def open_runs(self) -> list[str]:
        """The runs that wait, or are being trained by somebody on this host."""
        return self.trials.open_runs()

    def _first_free(self) -> Claim | None:
        """The lock comes first: SQLite's half of Optuna's queue can give a trial away twice."""
        for run in self.plan:
            trial = self.trials.latest.get(run.folder)
            if trial is None or not self.trials.is_open(trial):
                continue
            name = f"{self.experiment.name}/{run.folder}"
            lock = self.locks.try_claim(self.root / run.folder, name)
            if lock is None:
                continue
            try:
                claim = self._take(run, trial._trial_id, lock)
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

    def _take(self, run: PlannedRun, trial_id: int, lock: FolderLock) -> Claim | None:
        directory = RunDirectory(self.root / run.folder)
        if trains_alone(directory.path):
            return None
        held = self.trials.note(run.folder, trial_id)
        if not self.trials.is_open(held) or not self._set_running(trial_id, held.state):
            return None
        self.storage.set_trial_user_attr(trial_id, "host", self.host)
        trial = optuna.Trial(load_study(self.storage, self.experiment, run), trial_id)
        return Claim(run, directory, trial, trial_id, set(held.intermediate_values), lock)

    def _begin(self, claim: Claim) -> Outcome | None:
        """Write what the run is to do; an outcome when there is nothing to train.

        A range holds values that its ends do not speak for, such as a width that the number of
        heads does not divide. They are tried before they are saved.
        """
        run, values = claim.run, dict(claim.run.values)
        if run.is_searched:
            values = suggest(claim.trial, self.experiment.sweep.space, settings_of(run.arm))
        try:
            self.workspace.arm_of(run, values)
        except ConfigError as error:
            return Outcome("refused", reason="; ".join(error.problems))
        if values:
            save_values(claim.directory.path, values)
        self.workspace.create(run, values)
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
        sweep = self.experiment.sweep
        outcome = outcome_on_disk(claim.directory, sweep.metric, self._against(claim.run))
        retry = claim.trial.user_attrs["retry"] and not self.trials.is_done(claim.run)
        return None if retry else outcome

    def _against(self, run: PlannedRun) -> str | None:
        return self.experiment.sweep.against if run.is_searched else None

    def _tell(self, claim: Claim, outcome: Outcome, state: TrialState) -> None:
        if outcome.reason is not None:
            claim.trial.set_user_attr("reason", outcome.reason)
        if outcome.state in ("failed", "hung"):
            told = (claim.directory.status() or {}).get("state")
            if told in (None, "running", "interrupted"):  # it could not say so itself
                claim.directory.write_status("failed", reason=outcome.reason)
        values = [value for value in (outcome.value, outcome.cost) if value is not None]
        claim.trial.study.tell(claim.trial, values=values or None, state=state)

    def _state_of(self, run: PlannedRun, outcome: Outcome) -> TrialState:
        if outcome.state == "diverged" and run.is_searched:
            return TrialState.PRUNED  # a sampler learns from pruned trials, and nothing from failed
        return {
            "done": TrialState.COMPLETE,
            "pruned": TrialState.PRUNED,
            "refused": TrialState.PRUNED,
            "interrupted": TrialState.WAITING,
        }.get(outcome.state, TrialState.FAIL)
