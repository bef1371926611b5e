"""One process at a time in a folder, guaranteed by the kernel."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class FolderLock:
    """An exclusive ``flock`` on ``<folder>/.claim``, held as long as any process has it.

    A training process inherits the descriptor from the sweep that started it, so the folder stays
    locked while *either* lives. A sweep that was killed therefore leaves nothing stale behind (the
    kernel lets go), and nothing unguarded either (its orphan still trains, and still holds on).
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> FolderLock:
        """Lock ``folder``, creating it, as soon as nobody else holds it."""
        descriptor = _open(folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return cls(descriptor)

    @classmethod
    def try_acquire(cls, folder: Path) -> FolderLock | None:
        """Lock ``folder``, creating it; None when somebody else holds it."""
        descriptor = _open(folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def release(self) -> None:
        """Let go. Closes rather than unlocks: LOCK_UN would also strip a child that still runs."""
        os.close(self.descriptor)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def trains_alone(folder: Path) -> bool:
    """Whether somebody trains in ``folder`` without a claim, as `clozebox train` does.

    Every training process holds ``<folder>/.lock``; only those of a sweep hold the claim too.
    """
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _open(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / ".claim", os.O_RDWR | os.O_CREAT, 0o644)
