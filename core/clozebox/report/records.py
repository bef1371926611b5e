"""What a comparison reads of the runs on disk."""

from __future__ import annotations

import fcntl
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from clozebox.training import RunDirectory, all_runs

COSTS = ("steps", "tokens", "flops", "seconds")
"""What a run spends, and so what a learning curve can be drawn against."""
EVALUATION = "eval/"
GONE = "process gone; the same command resumes it"


class Evaluation(NamedTuple):
    """One look at the held-out data: what had been spent by then, and the ``eval/`` metrics.

    A tuple, because a comparison makes hundreds of thousands of them.
    """

    cost: dict[str, float]
    metrics: dict[str, float]


@dataclass(frozen=True)
class RunRecord:
    """One arm with one seed: how far it got and what came of it."""

    path: Path
    resolved: dict[str, Any]
    status: dict[str, Any]
    evaluations: tuple[Evaluation, ...]
    provenance: dict[str, Any]
    is_held: bool
    """Whether a process is training it now."""
    drawn: dict[str, Any] = field(default_factory=dict)
    """The values that a search gave it; empty where the arms are the plan."""
    called: str | None = None
    """The arm of a comparison that it stands for, where that has another name."""

    @property
    def arm(self) -> str:
        """A trial of a search goes by its folder: many trials share the name of one arm."""
        if self.called is not None:
            return self.called
        return str(self.resolved["arm"]) if self.trial is None else self.path.parent.name

    @property
    def trial(self) -> int | None:
        """Its number in the search of its arm; None where the arms are the plan."""
        return self.resolved.get("trial")

    @property
    def seed(self) -> int:
        return int(self.resolved["seed"])

    @property
    def state(self) -> str:
        """What status.json says, but ``stopped`` where the process that wrote it was killed."""
        state = str(self.status.get("state", "not started"))
        return "stopped" if state == "running" and not self.is_held else state

    @property
    def reason(self) -> str | None:
        return GONE if self.state == "stopped" else self.status.get("reason")

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """Code, libraries and numerics of each start of the run."""
        return list(self.provenance.get("sessions", [self.provenance]))

    @property
    def parameters(self) -> int | None:
        return self.provenance.get("parameters")

    @property
    def final(self) -> dict[str, float]:
        """The metrics of the last evaluation."""
        return self.evaluations[-1].metrics if self.evaluations else {}

    @property
    def cost(self) -> dict[str, float]:
        return self.evaluations[-1].cost if self.evaluations else {}


def read_run(run: RunDirectory) -> RunRecord:
    """Read one run; what it has not written yet is simply absent."""
    return RunRecord(
        path=run.path,
        resolved=run.resolved(),
        status=run.status() or {},
        evaluations=tuple(_evaluations(_lines_of_evaluations(run.metrics_path))),
        provenance=_table_in(run.path / "provenance.json"),
        is_held=_is_held(run.path / ".lock"),
        drawn=_table_in(run.path / "trial.json"),
    )


def read_runs(folder: Path) -> list[RunRecord]:
    """Every run below ``folder``, in the order of the arms and their seeds."""
    return [read_run(run) for run in all_runs(folder)]


def _lines_of_evaluations(path: Path) -> list[dict[str, Any]]:
    """Those of metrics.jsonl that hold ``eval/`` metrics; a last line that a crash tore is not one.

    The others, which are most, are not parsed, and these in one go: it halves the time of a report.
    """
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines if f'"{EVALUATION}' in line and line.endswith("\n")]
    return list(json.loads(f"[{','.join(whole)}]"))


def _evaluations(lines: list[dict[str, Any]]) -> list[Evaluation]:
    """The lines that hold ``eval/`` metrics; lines at one step are one evaluation."""
    found: dict[int, Evaluation] = {}
    for line in lines:
        step = line["step"]
        metrics = {k: float(v) for k, v in line.items() if k.startswith(EVALUATION)}
        if (earlier := found.get(step)) is not None:
            metrics = earlier.metrics | metrics
        if metrics:
            found[step] = Evaluation(_cost(line), metrics)
    return [found[step] for step in sorted(found)]


def _cost(line: Mapping[str, Any]) -> dict[str, float]:
    spent = {"steps": float(line["step"])}
    for key in COSTS[1:]:
        if (value := line.get(key)) is not None:
            spent[key] = float(value)
    return spent


def _table_in(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}


def _is_held(lock: Path) -> bool:
    """Whether a process holds ``lock``, as training does from its first moment to its last."""
    try:
        with lock.open() as file:
            # Shared, so that two readers do not take each other for the trainer.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def finite(values: Mapping[int, float]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if math.isfinite(value)}
