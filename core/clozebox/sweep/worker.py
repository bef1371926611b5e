"""The supervisor of a sweep: keeps N children training until the queue is empty.

One thread looks after all of them: a trial takes minutes and looking takes milliseconds, and so a
signal, a claim and an ending can never happen at the same time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from clozebox.sweep.devices import Devices, ranks_of
from clozebox.sweep.hosts import FENCE_SECONDS
from clozebox.sweep.job import Command, Job
from clozebox.sweep.progress import Progress
from clozebox.sweep.run_queue import RunQueue

POLL_SECONDS = 0.1
LOOK_SECONDS = 1.0
"""How often an idle worker looks whether somebody else gave a run back."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Claims runs, trains each in a child process, and tells the queue how they ended."""

    def __init__(
        self,
        queue: RunQueue,
        progress: Progress,
        workers: int,
        command: Command,
        devices: Devices | None = None,
    ) -> None:
        self.queue, self.progress, self.devices = queue, progress, devices
        self.ranks = ranks_of(queue.plan)
        self.workers, self.command = workers, command
        self.sweep = queue.experiment.sweep
        self.threads = max(1, _cores() // workers)
        self.jobs: list[Job] = []
        self.signals: list[int] = []
        self.tally = queue.tally()
        self._next_look = 0.0
        self._told: set[str] = set()

    def work(self) -> int | None:
        """Train until nothing is open; the signal that ended it early, or None.

        The first signal asks the children to save and waits for them, the second kills them.
        """
        with self._listening():
            try:
                while self._step():
                    self.progress.show(self.tally, self.jobs)
                    time.sleep(self._pause())
            finally:
                self.progress.close()
                self._abandon()
        return self.signals[0] if self.signals else None

    def _pause(self) -> float:
        """Shorter for a run that has just begun: it may be a short one."""
        youngest = min((job.seconds for job in self.jobs), default=POLL_SECONDS)
        return max(0.005, min(POLL_SECONDS, youngest / 20))

    def _step(self) -> bool:
        """Look at everything once; whether there is a reason to look again."""
        self.queue.locks.require()
        self._collect()
        if self.signals:
            self._stop()
            return bool(self.jobs)
        looked_in_vain = self._claim()
        for job in self.jobs:
            job.follow()
            job.watch()
        return bool(self.jobs) or not looked_in_vain or self._others_train()

    def _collect(self) -> None:
        for job in [job for job in self.jobs if job.has_ended()]:
            job.follow()
            self.jobs.remove(job)
            self._take_back(job.devices)
            outcome = self.queue.finish(job.claim, job.outcome())
            self.tally = self.queue.tally()
            self.progress.ended(job, outcome, self.tally, self.jobs)
            self._next_look = 0.0

    def _claim(self) -> bool:
        """Give every idle worker a run; True when there was none to give."""
        while len(self.jobs) < self.workers and time.monotonic() >= self._next_look:
            devices = () if self.devices is None else self.devices.lend(self.ranks)
            if devices is None:
                return False
            claim = self.queue.claim()
            if claim is None:
                self._next_look = time.monotonic() + LOOK_SECONDS
                self._take_back(devices)
                return True
            ranks = claim.run.arm.speed.ranks
            self._take_back(devices[ranks:])
            self.jobs.append(
                Job(
                    claim,
                    self.sweep,
                    self.command,
                    self.threads,
                    devices[:ranks],
                    outlives_us=not self.queue.locks.spans_hosts,
                )
            )
        return False

    def _take_back(self, devices: Sequence[str]) -> None:
        if self.devices is not None:
            self.devices.give_back(devices)

    def _others_train(self) -> bool:
        """Whether to stay: whoever trains on this host may yet die and leave its runs to us."""
        open_runs = self.queue.open_runs()
        if not open_runs:
            return False
        self.tally = self.queue.tally()
        self._tell_once(f"waiting for another process's {', '.join(open_runs)}")
        return True

    def _stop(self) -> None:
        self._tell_once(
            f"stopping: {len(self.jobs)} run(s) save what they have (once more to kill them)"
        )
        for job in self.jobs:
            if job.asked is None:
                job.stop("interrupted")
            if len(self.signals) > 1:
                job.kill()

    def _tell_once(self, line: str) -> None:
        kind = line.partition(" ")[0]
        if kind not in self._told:
            self._told.add(kind)
            self.progress.say(line)

    def _abandon(self) -> None:
        """When the sweep itself breaks, leave no child behind; its runs wait for the next sweep.

        Where other hosts may soon take them up, for no longer than is safe.
        """
        for job in self.jobs:
            job.stop("interrupted")
        patience = FENCE_SECONDS if self.queue.locks.spans_hosts else None
        deadline = None if patience is None else time.monotonic() + patience
        for job in self.jobs:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                job.process.wait(left)
            except subprocess.TimeoutExpired:
                job.kill()
                job.process.wait()
            job.claim.lock.release()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Note the signals that end a sweep instead of dying of them."""

        def note(number: int, frame: FrameType | None) -> None:
            self.signals.append(number)

        before = {number: signal.signal(number, note) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # what a container or a job scheduler grants
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
