"""Metrics as a CSV file: step, metric, value."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

from clozebox.training import Reporter, RunDirectory


class SkeletonReporter(Reporter):
    def __init__(self, name: str) -> None:
        self.name = name

    def start(self, run: RunDirectory, arm: Any, first_step: int) -> None:
        """A run that is taken up again logs from ``first_step`` on once more."""
        self.file = run.path / self.name
        rows: list[list[str]] = []
        if self.file.exists():
            with self.file.open(newline="") as file:
                rows = [row for row in csv.reader(file) if int(row[0]) < first_step]
        with self.file.open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Your idea goes here: plain floats, at log points only."""
        with self.file.open("a", newline="") as file:
            csv.writer(file).writerows([step, name, value] for name, value in metrics.items())

    def finish(self, state: str, result: Mapping[str, float]) -> None:
        """The run ends as ``done``, ``failed``, ``diverged`` or ``interrupted``."""
