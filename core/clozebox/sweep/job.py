"""A run being trained by a child process: started, followed, stopped, judged."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clozebox.config.settings import Sweep
from clozebox.sweep.devices import VARIABLE
from clozebox.sweep.outcome import Outcome, State, outcome_on_disk
from clozebox.sweep.pulse import Pulse
from clozebox.sweep.run_queue import Claim
from clozebox.training.launch import ENDS_WITH_PARENT, RANK_VARIABLES

Command = Callable[[Path], list[str]]

GRACE = 20.0
"""Seconds that a child which hangs has to save and end, when asked to."""

INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)
"""How a child ends that saved after Ctrl-C or SIGTERM, or was asked before it could listen."""


def training_command(run_directory: Path) -> list[str]:
    """Train or resume the run that ``run_directory`` describes."""
    return [sys.executable, "-m", "clozebox.training", str(run_directory)]


class Job:
    """One claimed run and its child process, whose crash is nobody else's.

    The child has a session of its own, so that Ctrl-C in the terminal reaches the sweep only. It
    inherits the lock on its directory: nobody else trains there, even if the sweep is killed.
    """

    def __init__(
        self,
        claim: Claim,
        sweep: Sweep,
        command: Command,
        threads: int,
        devices: Sequence[str] = (),
        outlives_us: bool = True,
    ) -> None:
        self.claim, self.metric, self.devices = claim, sweep.metric, devices
        self.against = sweep.against if claim.run.is_searched else None
        self.path = claim.directory.path.resolve()
        self.begun = time.monotonic()
        self.asked: State | None = None
        self._asked_at = 0.0
        self._evaluations = _Evaluations(self.path / "metrics.jsonl", sweep.metric)
        self._pulse = Pulse(self.path, sweep.hang_after)
        self._status_before = claim.directory.status()
        environment = _environment(claim, threads, devices)
        if not outlives_us:
            environment[ENDS_WITH_PARENT] = str(os.getpid())
        with (self.path / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                command(self.path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=(claim.lock.descriptor,),
                start_new_session=True,
            )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def share(self) -> float:
        """The part of the run that is done, from 0 to 1."""
        status = self.claim.directory.status() or {}
        return min(1.0, float(status.get("step", 0)) / (status.get("steps") or math.inf))

    def has_ended(self) -> bool:
        """Whether the child is gone; what it left behind in its session is killed then."""
        if self.process.poll() is None:
            return False
        self.kill()
        return True

    def follow(self) -> None:
        """Report new evaluations to the study; ask the child to stop when the pruner says so.

        The n-th evaluation is reported as step n: evaluations are spread evenly over the budget, so
        trials are compared at equal shares of it, whatever their batch sizes make of a step.
        """
        trial, reported = self.claim.trial, self.claim.reported
        for evaluation, value in self._evaluations.read():
            if evaluation not in reported:
                reported.add(evaluation)
                if self.against is not None:
                    continue  # with two goals there is nothing to prune by
                trial.report(value, evaluation)
                if self.asked is None and trial.should_prune():
                    self.stop("pruned")

    def watch(self) -> None:
        """End a child that hangs: first it is asked where it is, then to save, then killed."""
        if self.asked == "hung":
            if time.monotonic() - self._asked_at > GRACE:
                self.kill()
        elif self._pulse.has_stopped():
            if self.asked is not None:
                self.kill()
                return
            self._signal(signal.SIGUSR1)  # its stack goes to log.txt
            self.stop("hung")

    def stop(self, reason: State) -> None:
        """Ask the child to save and end."""
        self.asked, self._asked_at = reason, time.monotonic()
        self.process.terminate()

    def kill(self) -> None:
        """End the child and all that it started, now."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def _signal(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def outcome(self) -> Outcome:
        """How the run ended; only once the child is gone."""
        code, told = self.process.wait(), None
        if self._wrote_status():
            told = outcome_on_disk(self.claim.directory, self.metric, self.against)
        if told is not None:
            return told
        if self.asked == "hung":
            limit = f"{self._pulse.limit:.3g} s without a sign of life"
            return Outcome("hung", reason=f"hung: {limit} (sweep.hang_after); log.txt says where")
        if self.asked is not None:
            return Outcome(self.asked)
        if code == os.EX_TEMPFAIL:
            return Outcome("interrupted", reason="another process was at it")
        if code < 0 or code in INTERRUPTED:
            return Outcome("killed", reason=_death(code))
        return Outcome("failed", reason=f"{_death(code)}: {self._last_words()}")

    def _wrote_status(self) -> bool:
        """Whether status.json is this child's or of a rank of it, not of an earlier attempt."""
        return self.claim.directory.status() != self._status_before

    def _last_words(self) -> str:
        lines = (self.path / "log.txt").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


class _Evaluations:
    """The values of one metric that were appended to metrics.jsonl since the last look."""

    def __init__(self, path: Path, metric: str) -> None:
        self.path, self.metric = path, metric
        self.inode = self.offset = self.count = 0

    def read(self) -> Iterator[tuple[int, float]]:
        """(n, value) of each new evaluation, counted from 1."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self.inode:  # a resumed run replaces the file, cut back to its checkpoint
                self.inode, self.offset, self.count = inode, 0, 0
            file.seek(self.offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self.offset += len(whole) + len(newline)
        for line in whole.splitlines():
            metrics = json.loads(line)
            if self.metric in metrics:
                self.count += 1
                yield self.count, float(metrics[self.metric])


def _environment(claim: Claim, threads: int, devices: Sequence[str]) -> dict[str, str]:
    environment = dict(os.environ) | {"PYTHONUNBUFFERED": "1"}
    speed = claim.run.arm.speed
    if speed.threads is None:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, threads // speed.ranks)))
    for name in RANK_VARIABLES:  # ours, should torchrun have started the sweep, are not the run's
        environment.pop(name, None)
    if devices:
        environment[VARIABLE] = ",".join(devices)
    return environment


def _death(code: int) -> str:
    if code in INTERRUPTED:
        return f"stopped by {signal.Signals(-code if code < 0 else code - 128).name}"
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
