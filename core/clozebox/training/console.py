"""Progress for a person: one line that refreshes in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TextIO

from clozebox.training.budget import Plan, Spent

SECONDS_BETWEEN_LINES = 10.0
"""Not in a terminal, a log file of a long run stays readable."""


class Console:
    """Writes to ``stream``; knows whether it is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._shown = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(text, file=self._stream, flush=True)

    def step(self, spent: Spent, plan: Plan, metrics: Mapping[str, float]) -> None:
        """A log point."""
        line = _step_line(spent, plan, metrics)
        if self._terminal:
            self._clear()
            print(line, end="", file=self._stream, flush=True)
        elif time.monotonic() - self._shown > SECONDS_BETWEEN_LINES or plan.progress(spent) == 1:
            self._shown = time.monotonic()
            print(line, file=self._stream, flush=True)

    def evaluation(self, spent: Spent, metrics: Mapping[str, float]) -> None:
        """An evaluation."""
        shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self.say(f"step {spent.step}  {shown}")

    def _clear(self) -> None:
        if self._terminal:
            print("\r\x1b[2K", end="", file=self._stream)


def _step_line(spent: Spent, plan: Plan, metrics: Mapping[str, float]) -> str:
    progress = plan.progress(spent)
    left = spent.seconds * (1 - progress) / progress if progress else 0.0
    losses = "  ".join(
        f"{name.removeprefix('train/')} {value:.4f}"
        for name, value in metrics.items()
        if name.startswith("train/") and name.endswith("_loss")
    )
    of = f"/{plan.steps}" if plan.steps else ""
    return (
        f"step {spent.step}{of}  {progress:4.0%}  {losses}  lr {metrics['optim/lr']:.2e}  "
        f"{metrics['perf/tokens_per_second']:,.0f} tokens/s  "
        f"eta {timedelta(seconds=round(left))}"
    )
