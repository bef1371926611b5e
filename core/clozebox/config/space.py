"""`[sweep.space]`: which dimensions an arm has, and every combination of their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clozebox.config.layers import SLOTS
from clozebox.config.settings import Choice, SearchSpace

Space = Mapping[str, SearchSpace]


def canonical(key: str) -> str:
    """``masking`` and ``masking.name`` are one setting."""
    return f"{key}.name" if key in SLOTS else key


def drawn_here(dimension: SearchSpace, drawn: Mapping[str, Any], settings: Any) -> bool:
    """Whether a dimension is drawn, given what was drawn before it and the arm's own settings."""
    named = {canonical(key): value for key, value in drawn.items()}
    return all(
        (named[canonical(key)] if canonical(key) in named else setting(settings, key)) in wanted
        for key, wanted in conditions(dimension).items()
    )


def conditions(dimension: SearchSpace) -> dict[str, tuple[Choice, ...]]:
    """What other settings must be for a dimension to be drawn."""
    given = dimension.when or {}
    return {key: one if isinstance(one, tuple) else (one,) for key, one in given.items()}


def setting(settings: Any, key: str) -> Any:
    """An arm's own value under a dotted key; None where it has none."""
    for part in canonical(key).split("."):
        settings = settings.get(part) if isinstance(settings, Mapping) else None
    return settings


def contexts(key: str, space: Space, settings: Any) -> Iterator[dict[str, Choice]]:
    """The values of other dimensions under which an arm draws ``key``; none where it never does."""
    names = {canonical(other): other for other in space}
    found: list[dict[str, Choice]] = [{}]
    for condition, wanted in conditions(space[key]).items():
        searched = names.get(canonical(condition))
        if searched is None:
            found = found if setting(settings, condition) in wanted else []
            continue
        values = [value for value in wanted if takes(space[searched], value)]
        around = list(contexts(searched, space, settings))
        found = [a | b | {searched: value} for a in found for b in around for value in values]
    yield from found


def takes(dimension: SearchSpace, value: Choice) -> bool:
    """Whether a value can be drawn."""
    if dimension.choices is not None:
        return value in dimension.choices
    low, high = dimension.low or 0.0, dimension.high or 0.0
    return isinstance(value, int | float) and low <= value <= high


def grid_values(dimension: SearchSpace) -> tuple[Choice, ...] | None:
    """Every value of a dimension; None where there is no end of them."""
    if dimension.choices is not None:
        return dimension.choices
    step = dimension.step or (1.0 if dimension.integer else None)
    if step is None or dimension.log:
        return None
    low, high = dimension.low or 0.0, dimension.high or 0.0
    values = [low + index * step for index in range(round((high - low) / step) + 1)]
    return tuple(int(value) for value in values) if dimension.integer else tuple(values)


def combinations(space: Space, settings: Any) -> list[dict[str, Choice]]:
    """Every point of a grid, the last dimension fastest; each only once, however it is reached."""
    points: list[dict[str, Choice]] = [{}]
    for key, dimension in space.items():
        values = grid_values(dimension) or ()
        points = [
            point | extra
            for point in points
            for extra in (
                [{key: value} for value in values]
                if drawn_here(dimension, point, settings)
                else [{}]
            )
        ]
    return points
