"""Checks what `[sweep]` would try, before a run is started."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from clozebox.config.arms import NOT_THE_RESULT, with_overrides
from clozebox.config.layers import KeyPath, Table
from clozebox.config.problems import ConfigError, Problems, show
from clozebox.config.settings import Arm, SearchSpace, Sweep
from clozebox.registry import Registry

SEARCH_KEYS = ("trials", "sampler", "pruner")


def searched(
    shared: Table,
    defaults: Table,
    arms: Sequence[Arm | None],
    registry: Registry,
    problems: Problems,
) -> Sweep | None:
    """The `[sweep]` of an experiment, checked against every arm that it would search."""
    _tell_unread(shared, defaults, problems)
    sweep = problems.settings(Sweep, shared, ("sweep",))
    if sweep is not None:
        for key, space in sweep.space.items():
            _try_dimension(key, space, shared, arms, registry, problems)
    return sweep


def _tell_unread(shared: Table, defaults: Table, problems: Problems) -> None:
    """Options of a search without one, and seeds that a search does not train."""
    is_search = bool(shared.get(("sweep", "space")))
    seeds = shared.get(("seeds",))
    unread: dict[KeyPath, str] = {}
    if not is_search:
        text = "nothing reads it: there is no [sweep.space] to search"
        unread = {("sweep", key): text for key in SEARCH_KEYS}
    elif isinstance(seeds, list) and len(seeds) > 1:
        text = f"must be one (got {show(seeds)}): a search trains every trial at the first seed"
        unread = {("seeds",): text}
    for path, text in unread.items():
        shared_by_all = path in defaults.origins and shared.origin(path) == defaults.origins[path]
        if shared.get(path) is not None and not shared_by_all:
            problems.add(shared.origin(path), path, text)


def _try_dimension(
    key: str,
    space: SearchSpace,
    shared: Table,
    arms: Sequence[Arm | None],
    registry: Registry,
    problems: Problems,
) -> None:
    """Every arm must take the ends of a range, or every choice, before a run is started."""
    path = ("sweep", "space", key)
    keys = tuple(key.split("."))
    if any(keys[: len(idle)] == idle for idle in NOT_THE_RESULT):
        text = "cannot be searched: it never changes the result"
        problems.add(shared.origin(path), path, text)
        return
    known = [arm for arm in arms if arm is not None]
    for arm, value in itertools.product(known, space.values()):
        try:
            with_overrides(arm, {key: value}, registry)
        except ConfigError as error:
            problems.add(shared.origin(path), path, error.problems[0])
            return
