"""How a run ended, as its directory tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from clozebox.errors import did_you_mean
from clozebox.training import RunDirectory

State = Literal["done", "pruned", "refused", "interrupted", "killed", "hung", "failed", "diverged"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with a value when it is done, with a reason when it is not."""

    state: State
    value: float | None = None
    reason: str | None = None
    cost: float | None = None
    """What it spent, where a search keeps that low as well."""


def outcome_on_disk(
    directory: RunDirectory, metric: str, against: str | None = None
) -> Outcome | None:
    """What status.json says of a run that ended by itself; None while it has not.

    ``against`` is the cost to be told besides: flops, tokens or seconds.
    """
    status = directory.status() or {}
    match status.get("state"):
        case "done":
            judged = _judged(status.get("result") or {}, metric)
            return judged if against is None else _with_cost(judged, directory, against)
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


def _with_cost(outcome: Outcome, directory: RunDirectory, against: str) -> Outcome:
    spent = [line[against] for line in directory.metrics() if against in line]
    if outcome.state == "done" and not spent:
        return Outcome("failed", reason=f"the run is done but recorded no {against}")
    return replace(outcome, cost=float(spent[-1]) if spent else None)
