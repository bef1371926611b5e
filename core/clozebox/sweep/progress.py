"""What a sweep says: lines that last, and on a terminal one status line below them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import TextIO

from clozebox.sweep.job import Job
from clozebox.sweep.outcome import Outcome
from clozebox.sweep.tally import Tally

CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Plain lines wherever the output goes; the status line only where somebody watches."""

    def __init__(self, stream: TextIO, metric: str) -> None:
        self.stream, self.metric = stream, metric
        self.watched = stream.isatty()
        self.begun = time.monotonic()
        self.ended_here = 0

    def say(self, line: str) -> None:
        """Print a line above the status line."""
        print((CLEAR_LINE if self.watched else "") + line, file=self.stream, flush=True)

    def ended(self, job: Job, outcome: Outcome, tally: Tally, running: Sequence[Job]) -> None:
        """A run ended: ``[3/12] masked seed 1 done  eval/cloze_loss 4.213  38 s  ETA 5 min``."""
        self.ended_here += outcome.state != "interrupted"
        parts = [f"[{tally.ended}/{tally.planned}] {job.claim.run.label} {outcome.state}"]
        if outcome.value is not None:
            parts.append(f"{self.metric} {outcome.value:.4g}")
        if outcome.reason is not None:
            parts.append(outcome.reason)
        self.say("  ".join([*parts, duration(job.seconds), *self._eta(tally, running)]))

    def show(self, tally: Tally, running: Sequence[Job]) -> None:
        """Refresh the status line."""
        if self.watched:
            jobs = [f"{job.claim.run.label} {job.share():.0%}" for job in running]
            text = "  ".join([f"{tally.ended}/{tally.planned}", *jobs, *self._eta(tally, running)])
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(CLEAR_LINE + text[:width])
            self.stream.flush()

    def close(self) -> None:
        """Take the status line away."""
        if self.watched:
            self.stream.write(CLEAR_LINE)
            self.stream.flush()

    def _eta(self, tally: Tally, running: Sequence[Job]) -> list[str]:
        """Time for what is left at the pace so far, once there is a pace."""
        begun = sum(job.share() for job in running)
        made, left = self.ended_here + begun, tally.planned - tally.ended - begun
        if made < 0.05 or left <= 0:
            return []
        return [f"ETA {duration((time.monotonic() - self.begun) / made * left)}"]


def duration(seconds: float) -> str:
    """A length of time for reading: ``38 s``, ``5 min``, ``2.1 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
