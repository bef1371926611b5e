"""Checks what `[sweep]` would try, before a run is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clozebox.config.arms import NOT_THE_RESULT, settings_of, with_overrides
from clozebox.config.layers import KeyPath, Table
from clozebox.config.problems import ConfigError, Problems, show
from clozebox.config.settings import Arm, Sweep
from clozebox.config.space import Space, canonical, conditions, contexts, grid_values
from clozebox.registry import Registry

SEARCH_KEYS = ("trials", "sampler", "pruner", "against", "fresh_seeds")


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
    if sweep is None:
        return None
    known = {arm.name: (arm, settings_of(arm)) for arm in arms if arm is not None}
    for key in sweep.space:
        if _orderly(key, sweep.space, shared, problems):
            _try_dimension(key, sweep.space, shared, known, registry, problems)
    _check_grid(sweep, shared, problems)
    _check_front(sweep, shared, [arm for arm, _ in known.values()], problems)
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
        unread = {("seeds",): text + ", and its best at sweep.fresh_seeds more"}
    if is_search and shared.get(("sweep", "sampler")) == "grid":
        unread[("sweep", "trials")] = "nothing reads it: a grid is tried whole"
    for path, text in unread.items():
        shared_by_all = path in defaults.origins and shared.origin(path) == defaults.origins[path]
        if shared.get(path) is not None and not shared_by_all:
            problems.add(shared.origin(path), path, text)


def _orderly(key: str, space: Space, shared: Table, problems: Problems) -> bool:
    """Whether what a dimension depends on is drawn before it, and not twice."""
    before = []
    for other in space:
        if other == key:
            break
        before.append(canonical(other))
    path = ("sweep", "space", key)
    if canonical(key) in before:
        problems.add(shared.origin(path), path, "is searched already, under its other name")
        return False
    later = {canonical(other) for other in space} - set(before)
    for condition in conditions(space[key]):
        if canonical(condition) in later:
            text = f"must stand after '{condition}', which it depends on"
            problems.add(shared.origin(path), path, text)
            return False
    return True


def _try_dimension(
    key: str,
    space: Space,
    shared: Table,
    arms: Mapping[str, tuple[Arm, object]],
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
    tried = 0
    for arm, settings in arms.values():
        for around in contexts(key, space, settings):
            for value in space[key].values():
                tried += 1
                try:
                    with_overrides(arm, {**around, key: value}, registry)
                except ConfigError as error:
                    problems.add(shared.origin(path), path, error.problems[0])
                    return
    if arms and not tried:
        text = f"is never drawn: no arm ever has {show(space[key].when)}"
        problems.add(shared.origin(path), path, text)


def _check_grid(sweep: Sweep, shared: Table, problems: Problems) -> None:
    """A grid has an end."""
    if sweep.sampler not in ("grid", "brute_force"):
        return
    for key, dimension in sweep.space.items():
        if grid_values(dimension) is None:
            path = ("sweep", "space", key)
            text = f"sampler '{sweep.sampler}' tries every value: give choices, or a step"
            problems.add(shared.origin(path), path, text)


def _check_front(sweep: Sweep, shared: Table, arms: Sequence[Arm], problems: Problems) -> None:
    """Two goals: nothing to prune by, and a cost that is not the same for all."""
    if sweep.against is None:
        return
    if shared.get(("sweep", "pruner"), "none") != "none":
        path: KeyPath = ("sweep", "pruner")
        text = "must be 'none' with sweep.against: a run that lags behind may be the cheapest"
        problems.add(shared.origin(path), path, text)
    fixed = all(getattr(arm.budget, sweep.against) is not None for arm in arms)
    if fixed and arms and not any(key.startswith("budget.") for key in sweep.space):
        path = ("sweep", "against")
        text = f"every trial spends the same {sweep.against}: the budget is one of {sweep.against}"
        problems.add(shared.origin(path), path, text)
