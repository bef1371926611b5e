"""Checks how the objectives of an arm are combined: heads, shares of the sequences, phases."""

from __future__ import annotations

from collections.abc import Sequence

from clozebox.components import ObjectiveConfig, TokenObjectiveConfig
from clozebox.config.layers import KeyPath, Table
from clozebox.config.problems import Problems, unknown
from clozebox.config.settings import Phase, Phases

ROUNDING = 1.5e-6
"""A third, written with six or seven digits, is a third."""


def phases_of(table: Table, problems: Problems) -> tuple[Phase, ...]:
    """The `[[phase]]`s of an arm, in order; none where there is nothing to tell apart."""
    given = {key: table.values[key] for key in ("phase",) if key in table.values}
    found = problems.settings(Phases, Table(given, table.origins, table.otherwise), ())
    phases = () if found is None else found.phase
    shares = [phase.share for phase in phases]
    if phases and abs(sum(shares) - 1) > ROUNDING:
        text = f"the shares must sum to 1 (got {_sum(shares)})"
        problems.add(table.origin(("phase",)), ("phase",), text)
    return phases


def check_combination(
    table: Table,
    objectives: Sequence[ObjectiveConfig],
    phases: Sequence[Phase],
    batch_size: int | None,
    problems: Problems,
) -> None:
    """Everything that objectives say of one another must fit; None: the batch size is not known."""
    names = [objective.name for objective in objectives]
    _check_heads(table, objectives, problems)
    _check_rows(table, objectives, batch_size or 0, problems)
    for index, phase in enumerate(phases):
        path: KeyPath = ("phase", index, "objectives")
        for name in phase.objectives:
            if name not in names:
                text = unknown(name, f"'{name}' is not in objectives", names)
                problems.add(table.origin(path), path, text)
        if len(set(phase.objectives)) < len(phase.objectives):
            problems.add(table.origin(path), path, "names an objective twice")
    idle = set(names) - {name for phase in phases for name in phase.objectives}
    if phases and idle:
        text = f"no phase learns from {', '.join(sorted(idle))}"
        problems.add(table.origin(("phase",)), ("phase",), text)
    groups = [phase.objectives for phase in phases] or [tuple(names)]
    for group in groups:
        together = [objective for objective in objectives if objective.name in group]
        _check_shares(table, together, problems)


def _check_heads(table: Table, objectives: Sequence[ObjectiveConfig], problems: Problems) -> None:
    before: list[str] = []
    for objective in objectives:
        if not isinstance(objective, TokenObjectiveConfig):
            continue
        path: KeyPath = ("objective", objective.name, "head")
        if objective.head is not None and objective.head not in before:
            text = f"must be an objective that predicts tokens and stands before '{objective.name}'"
            text += f" (got '{objective.head}'; there is {', '.join(before) or 'none'})"
            problems.add(table.origin(path), path, text)
        before.append(objective.name)


def _check_rows(
    table: Table, objectives: Sequence[ObjectiveConfig], batch_size: int, problems: Problems
) -> None:
    """What is read in some of the steps alone would weigh less than its share."""
    for objective in objectives:
        if objective.share is not None and 0 < objective.share * batch_size < 1 - ROUNDING:
            path: KeyPath = ("objective", objective.name, "share")
            text = f"{objective.share:g} of train.batch_size {batch_size} is less than a sequence"
            problems.add(table.origin(path), path, text)


def _check_shares(table: Table, objectives: Sequence[ObjectiveConfig], problems: Problems) -> None:
    shares = {one.name: one.share for one in objectives if one.share is not None}
    if not shares:
        return
    path: KeyPath = ("objective", next(iter(shares)), "share")
    total, told = sum(shares.values()), _sum(list(shares.values()))
    if total > 1 + ROUNDING:
        problems.add(table.origin(path), path, f"the shares exceed 1: {told}")
    elif total < 1 - ROUNDING and len(shares) == len(objectives):
        text = f"the shares are {told}: nothing learns from the other sequences"
        problems.add(table.origin(path), path, text)


def _sum(shares: Sequence[float]) -> str:
    """``0.5 + 0.4 = 0.9``."""
    told = " + ".join(f"{share:g}" for share in shares)
    return f"{told} = {sum(shares):g}" if len(shares) > 1 else told
