"""metrics.jsonl: the record of truth; TensorBoard and every report are views of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from clozebox.training.files import write_atomically


class MetricsLog:
    """One JSON object a line, appended and flushed; on resume cut back to the checkpoint's step."""

    def __init__(self, path: Path, last_step: int) -> None:
        _cut_after(path, last_step)
        self._file = path.open("a")

    def write(self, values: Mapping[str, int | float]) -> None:
        rounded = {
            name: value if isinstance(value, int) else float(f"{value:.8g}")
            for name, value in values.items()
        }
        self._file.write(json.dumps(rounded) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Make what is written durable, so that no checkpoint outlives the metrics before it."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _cut_after(path: Path, last_step: int) -> None:
    """Drop lines beyond ``last_step``, and a last line that a crash tore."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [
        line for line in lines if line.endswith(b"\n") and json.loads(line)["step"] <= last_step
    ]
    if kept != lines:
        write_atomically(path, b"".join(kept))
