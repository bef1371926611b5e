"""How a run ended, as its directory tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clozebox.errors import did_you_mean
from clozebox.training import RunDirectory

State = Literal["done", "pruned", "refused", "interrupted", "failed", "diverged"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with a value when it is done, with a reason when it is not."""

    state: State
    value: float | None = None
    reason: str | None = None


def outcome_on_disk(directory: RunDirectory, metric: str) -> Outcome | None:
    """What status.json says of a run that ended by itself; None while it has not."""
    status = directory.status() or {}
    match status.get("state"):
        case "done":
            return _judged(status.get("result") or {}, metric)
        case "failed" | "diverged" as state:
            return Outcome(state, reason=str(status.get("reason") or state))
        case _:
            return None


def _judged(result: Mapping[str, Any], metric: str) -> Outcome:
    value = result.get(metric)
    if value is None:
        hint = did_you_mean(metric, result) or f" (it reports: {', '.join(sorted(result))})"
        return Outcome("failed", reason=f"the run is done but reports no '{metric}'{hint}")
    if not math.isfinite(value):
        return Outcome("diverged", reason=f"{metric} is {value}")
    return Outcome("done", value=float(value))
