"""A setting that changes nothing makes two arms that are the same run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, TypeVar, get_args, get_origin

import torch
from pydantic import ValidationError
from torch import Tensor

from clozebox.components import Component
from clozebox.errors import UserError
from clozebox.testing.verdict import Violation

ConfigT = TypeVar("ConfigT", bound=Component)


def every_setting_matters(
    config: ConfigT,
    behaviour: Callable[[ConfigT], list[Tensor]],
    besides: Collection[str] = (),
) -> None:
    """Every field, given other values that it allows, must change what the component does.

    ``besides`` are fields that are the core's own. Raises Violation.
    """
    usual = behaviour(config)
    for name in [name for name in type(config).model_fields if name not in besides]:
        tried = []
        for other in _others(config, name):
            try:
                if not _same(usual, behaviour(other)):
                    break
            except UserError:
                continue  # the text does not allow the value
            tried.append(str(getattr(other, name)))
        else:
            if tried:
                raise Violation(
                    f"{name} = {getattr(config, name)} does what {', '.join(tried)} do: "
                    "nothing reads it"
                )


def _others(config: ConfigT, name: str) -> Iterator[ConfigT]:
    """The settings with one field changed, in every way of a few that is allowed."""
    given = config.model_dump()
    for value in _candidates(getattr(config, name), type(config).model_fields[name].annotation):
        try:
            yield type(config).model_validate({**given, name: value})
        except ValidationError:
            continue


def _candidates(value: Any, annotation: Any) -> Iterator[Any]:
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Literal:
            yield from (other for other in get_args(part) if other != value)
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value * 2, value // 2, value + 1, value - 1, 1)
    elif isinstance(value, float):
        yield from (value * 2, value / 2, value / 10, 0.0, 1.0)
    elif value is None:
        yield from (0.5, 0.05, 3)


def _same(left: list[Tensor], right: list[Tensor]) -> bool:
    return len(left) == len(right) and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(left, right, strict=True)
    )
