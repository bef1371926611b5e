"""Runs on disk in the format of training, without any training."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_run(
    folder: Path,
    arm: str,
    seed: int,
    losses: Sequence[float] = (),
    *,
    index: int = 0,
    state: str = "done",
    reason: str | None = None,
    settings: dict[str, Any] | None = None,
    question: str = "How much should a small BERT hide?",
    every: int = 7,
    flops_per_step: float = 2e11,
    fingerprint: str | None = None,
    trial: int | None = None,
    provenance: Mapping[str, Any] | None = None,
    **extra: Sequence[float],
) -> Path:
    """One run that evaluated ``losses`` every ``every`` steps; ``extra`` are more metrics."""
    path = folder / arm / f"seed-{seed}"
    path.mkdir(parents=True)
    resolved = {
        "experiment": folder.name,
        "question": question,
        "metric": "eval/cloze_loss",
        "direction": "minimize",
        "arm": arm,
        "arm_index": index,
        "seed": seed,
        "trial": trial,
        "fingerprint": fingerprint or f"{index:06d}abc",
        "settings": settings or {"optim": {"lr": 0.001}, "objectives": ["mlm"]},
        "plugins": [],
    }
    (path / "resolved.json").write_text(json.dumps(resolved))
    facts = {"parameters": 4_385_920 + index, **(provenance or {})}
    (path / "provenance.json").write_text(json.dumps(facts))
    lines = [_line(0, flops_per_step, {"train/mlm_loss": 9.0})]
    for i, loss in enumerate(losses):
        step = every * (i + 1)
        more = {f"eval/{name}": values[i] for name, values in extra.items()}
        lines.append(_line(step, flops_per_step, {"train/mlm_loss": loss + 0.1}))
        lines.append(_line(step, flops_per_step, {"eval/cloze_loss": loss, **more}))
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status = {
        "state": state,
        "step": every * len(losses),
        "steps": every * 11,
        "reason": reason,
        "pid": 1,
        "host": "here",
        "started": "2026-03-01T10:00:00+00:00",
        "updated": "2026-03-01T10:20:00+00:00",
        "result": None,
    }
    (path / "status.json").write_text(json.dumps(status))
    return path


@contextmanager
def training(path: Path) -> Iterator[None]:
    """Hold the lock of the run in ``path``, as the process that trains it does."""
    with (path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _line(step: int, flops_per_step: float, metrics: dict[str, float]) -> dict[str, float]:
    spent = {"tokens": step * 4096, "flops": step * flops_per_step, "seconds": step * 0.31}
    return {"step": step, **spent, **metrics}
