"""A run being trained by a child process: started, followed, stopped, judged."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from clozebox.sweep.outcome import Outcome, State, outcome_on_disk
from clozebox.sweep.run_queue import Claim

Command = Callable[[Path], list[str]]

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

    def __init__(self, claim: Claim, metric: str, command: Command, threads: int) -> None:
        self.claim, self.metric = claim, metric
        self.path = claim.directory.path.resolve()
        self.begun = time.monotonic()
        self.asked: State | None = None
        self._evaluations = _Evaluations(self.path / "metrics.jsonl", metric)
        with (self.path / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                command(self.path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(claim, threads),
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
                trial.report(value, evaluation)
                if self.asked is None and trial.should_prune():
                    self.stop("pruned")

    def stop(self, reason: State) -> None:
        """Ask the child to save and end."""
        self.asked = reason
        self.process.terminate()

    def kill(self) -> None:
        """End the child and all that it started, now."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def outcome(self) -> Outcome:
        """How the run ended; only once the child is gone."""
        code, told = self.process.wait(), None
        if self._wrote_status():
            told = outcome_on_disk(self.claim.directory, self.metric)
        if told is not None:
            return told
        if self.asked is not None or code in INTERRUPTED:
            return Outcome(self.asked or "interrupted")
        return Outcome("failed", reason=f"{_death(code)}: {self._last_words()}")

    def _wrote_status(self) -> bool:
        """Whether status.json is this child's, not that of an earlier attempt."""
        return (self.claim.directory.status() or {}).get("pid") == self.process.pid

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


def _environment(claim: Claim, threads: int) -> dict[str, str]:
    environment = dict(os.environ) | {"PYTHONUNBUFFERED": "1"}
    if claim.run.arm.speed.threads is None:
        environment.setdefault("OMP_NUM_THREADS", str(threads))
    return environment


def _death(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
