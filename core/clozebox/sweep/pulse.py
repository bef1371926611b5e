"""Whether a run still gives a sign of life: a line, a metric, a status or a checkpoint."""

from __future__ import annotations

import time
from pathlib import Path

SIGNS = ("log.txt", "metrics.jsonl", "status.json", "checkpoints")
PATIENCE = 10
"""So many times its longest silence until now a run may be silent, however short the limit."""
LOOK_SECONDS = 1.0


class Pulse:
    """Notices change by what the files are, not by their dates: clocks jump, and hosts differ."""

    def __init__(self, folder: Path, hang_after: float) -> None:
        self.paths = [folder / name for name in SIGNS]
        self.hang_after, self.longest = hang_after, 0.0
        self.beat = self.looked = time.monotonic()
        self.seen = self._signs()

    @property
    def limit(self) -> float:
        """Seconds of silence after which the run is taken to hang."""
        return max(self.hang_after, PATIENCE * self.longest)

    def has_stopped(self) -> bool:
        """Whether the run has been silent for too long."""
        now = time.monotonic()
        if now - self.looked >= min(LOOK_SECONDS, self.hang_after / 4):
            self.looked = now
            signs = self._signs()
            if signs != self.seen:
                self.longest = max(self.longest, now - self.beat)
                self.seen, self.beat = signs, now
        return now - self.beat > self.limit

    def _signs(self) -> list[tuple[int, int] | None]:
        return [_sign(path) for path in self.paths]


def _sign(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
