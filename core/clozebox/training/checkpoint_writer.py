"""Checkpoints written while training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from clozebox.training.checkpoint import write_checkpoint


class CheckpointWriter:
    """Hashes, writes and syncs in a thread of its own, one checkpoint at a time.

    Until it is through, what counts is the checkpoint before: a process that is killed loses no
    more than it would have lost a moment earlier.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._last: Future[Path] | None = None

    def write(self, target: Path, files: Mapping[str, bytes], keep: int) -> None:
        """Begin to write a checkpoint, once the one before is on the disk.

        Raises:
            UserError: that one was refused by the disk.
        """
        self.wait()
        self._last = self._thread.submit(write_checkpoint, target, files, keep)

    def wait(self) -> None:
        """Until the last one is on the disk.

        Raises:
            UserError: the disk refused; what was there before is still whole.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()
