"""Checks what `[sweep]` would try, before a run is started."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from clozebox.config.arms import NOT_THE_RESULT, with_overrides
from clozebox.config.layers import Table
from clozebox.config.problems import ConfigError, Problems
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
    for key in SEARCH_KEYS:
        path = ("sweep", key)
        shared_by_all = path in defaults.origins and shared.origin(path) == defaults.origins[path]
        given = shared.get(path) is not None and not shared_by_all
        if given and not shared.get(("sweep", "space")):
            text = "nothing reads it: there is no [sweep.space] to search"
            problems.add(shared.origin(path), path, text)
    sweep = problems.settings(Sweep, shared, ("sweep",))
    if sweep is not None:
        for key, space in sweep.space.items():
            _try_dimension(key, space, shared, arms, registry, problems)
    return sweep


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
    if key.split(".")[0] in NOT_THE_RESULT:
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
