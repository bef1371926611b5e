"""Checkpoints written while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from clozebox.errors import UserError
from clozebox.training.checkpoint import write_checkpoint


class CheckpointWriter:
    """Hashes, writes and syncs in a thread of its own, one checkpoint at a time.

    Until it is through, what counts is the checkpoint before: a process that is killed loses no
    more than it would have lost a moment earlier. One that the disk refused is said, unless it was
    waited for.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._last: Future[Path] | None = None

    def write(self, target: Path, make: Callable[[], Mapping[str, bytes]], keep: int) -> None:
        """Begin to write what ``make`` returns now, once the one before is on the disk.

        Only then is it made: there are never the bytes of two.
        """
        self._settle()
        self._last = self._thread.submit(write_checkpoint, target, make(), keep)

    def wait(self) -> None:
        """Until the last one is on the disk.

        Raises:
            UserError: the disk refused it; what was there before is still whole.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Until nothing is being written any more."""
        self._settle()
        self._thread.shutdown()

    def _settle(self) -> None:
        # A disk may be full for an hour of a long night: a later checkpoint makes up for this one.
        try:
            self.wait()
        except UserError as refused:
            self._say(f"{refused}; going on without it")
