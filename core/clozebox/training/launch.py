"""Starting the ranks of a run on this machine, and ending with them. Costs no torch.

torchrun starts them too, and is what several machines need. Here it would lose the exit code, end a
save after thirty seconds, and leave nobody to write down that a rank was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from clozebox.training.run_directory import RunDirectory

RENDEZVOUS = "CLOZEBOX_RENDEZVOUS"
"""Environment: where the ranks of our own launcher meet; torchrun's are told by MASTER_ADDR."""
ENDS_WITH_PARENT = "CLOZEBOX_ENDS_WITH_PARENT"
"""Environment: the process that looks after this one, as nobody else would."""
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", RENDEZVOUS)
"""Environment: what a rank is told."""
PATIENCE = 20.0
"""Seconds that ranks may go on when one is gone: they notice by themselves, unless on a GPU."""
POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
STOPPED = (128 + signal.SIGTERM, -signal.SIGTERM)
"""How a rank ends that saved when it was asked to stop, or was asked before it could listen."""


def is_rank() -> bool:
    """Whether this process is one of several that train a run together."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_main() -> bool:
    """Whether this process writes: rank 0, or the only one."""
    return not is_rank() or os.environ["RANK"] == "0"


@dataclass
class Course:
    """What came of the ranks."""

    asked: int | None = None
    """The signal that asked to stop."""
    first: int | None = None
    """The rank that was the first to end otherwise than well."""


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent is gone, if the parent asked for that.

    Linux alone can do it. Elsewhere such a process trains on to its end.
    """
    if ENDS_WITH_PARENT in os.environ and sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(os.environ[ENDS_WITH_PARENT]):  # it went before we could say so
            raise SystemExit(128 + signal.SIGKILL)


def launch(run: RunDirectory, ranks: int) -> int:
    """Train ``run`` in ``ranks`` processes; the exit code that one process would have given."""
    with TemporaryDirectory(prefix="clozebox-") as folder, _signals() as signals:
        processes = [_start(run, rank, ranks, Path(folder) / "ranks") for rank in range(ranks)]
        course = _follow(processes, signals)
    codes = [process.returncode for process in processes]
    if course.asked is not None and codes[0] in STOPPED:
        return 128 + course.asked
    if course.first is not None:
        _write_down(run, course.first, codes[course.first])
    return codes[0] if codes[0] > 0 else int(any(codes))


def _write_down(run: RunDirectory, rank: int, code: int) -> None:
    """What rank 0 cannot know, or did not live to write."""
    if code < 0:
        name = signal.Signals(-code).name
        run.write_status("failed", reason=f"rank {rank} was killed by {name}")
    elif (run.status() or {}).get("state") == "running":
        run.write_status("failed", reason=f"rank {rank} ended with exit code {code}")


def _start(run: RunDirectory, rank: int, ranks: int, meeting: Path) -> subprocess.Popen[bytes]:
    told = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        RENDEZVOUS: f"file://{meeting}",
        ENDS_WITH_PARENT: str(os.getpid()),
    }
    environment = dict(os.environ) | told
    environment.setdefault("OMP_NUM_THREADS", str(max(1, _cores() // ranks)))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child inherits it
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "clozebox.training", str(run.path)],
            stdin=subprocess.DEVNULL,
            env=environment,
            close_fds=False,  # a sweep's claim on the run is handed on
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(processes: Sequence[subprocess.Popen[bytes]], signals: list[int]) -> Course:
    """Wait for all, passing on what this process is told.

    Once one ends, the others are about to: they are given a while, and then ended.
    """
    course = Course()
    deadline: float | None = None
    while True:
        running = [process for process in processes if process.poll() is None]
        if course.first is None:
            failed = [rank for rank, process in enumerate(processes) if process.returncode]
            course.first = failed[0] if failed else None
        if not running:
            return course
        while signals:
            _pass_on(signals.pop(0), running, course)
        if len(running) < len(processes):
            deadline = deadline or time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                for process in running:
                    process.kill()
        time.sleep(POLL_SECONDS)


def _pass_on(number: int, running: Sequence[subprocess.Popen[bytes]], course: Course) -> None:
    stops = number in (signal.SIGINT, signal.SIGTERM)
    if stops and course.asked is None:
        course.asked = number
    for process in running:
        # Ranks are deaf to Ctrl-C, which a terminal sends to them as well as to us.
        process.send_signal(signal.SIGTERM if stops else number)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the signals that are to be passed on."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)

    before = {number: signal.signal(number, note) for number in FORWARDED}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            # None: it was not Python's, such as the one that writes down where threads are.
            signal.signal(number, handler or signal.SIG_DFL)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # what a container or a job scheduler grants
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
