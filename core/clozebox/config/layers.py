"""Tables of settings laid over one another, each value with the place it came from."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]
"""Where a value is: ``("arm", 0, "masking", "rate")``."""

SLOTS = ("size", "corpus", "embedding", "encoder", "masking")
"""Tables that name one component; a bare string is a table that holds only the name."""

REPLACED = ("budget",)
"""Tables that hold one number in one unit: another unit replaces it."""


def dotted(path: KeyPath) -> str:
    """A key path as it is written in TOML: ``sweep.space."optim.lr".low``."""
    return ".".join(
        key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
        for key in map(str, path)
    )


def written(value: Any) -> str:
    """A value as it is written in TOML, on one line: ``[{ share = 0.3 }]``."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{dotted((key,))} = {written(one)}" for key, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value, ensure_ascii=False)


@dataclass
class Table:
    """Nested settings and the origin of each key path."""

    values: dict[str, Any]
    origins: dict[KeyPath, str] = field(default_factory=dict)
    """Key path to ``file:line`` or ``--set key=value``."""
    otherwise: str = "default"
    """The origin of what nobody gave."""

    def get(self, path: KeyPath, default: Any = None) -> Any:
        """The value at ``path``, or ``default``."""
        values: Any = self.values
        for key in path:
            if not isinstance(values, dict) or key not in values:
                return default
            values = values[key]
        return values

    def origin(self, path: KeyPath) -> str:
        """Where the value at ``path`` was given, or else the nearest table around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return self.otherwise

    def without(self, path: KeyPath) -> Table:
        """A copy in which nobody gave the value at ``path``."""
        table = Table(copy.deepcopy(self.values), dict(self.origins), self.otherwise)
        parent = table.get(path[:-1]) if len(path) > 1 else table.values
        if isinstance(parent, dict):
            parent.pop(str(path[-1]), None)
        table._forget(path)
        return table

    def over(self, base: Table) -> Table:
        """This table laid over ``base``: tables merge, and anything else replaces.

        A table that names another component drops the options of the one it replaces.
        """
        merged = Table(copy.deepcopy(base.values), dict(base.origins), base.otherwise)
        for key, value in self.values.items():
            current = merged.values.get(key)
            if key in SLOTS:
                value, current = _named(value), _named(current)
                if _starts_over(value, current):
                    current = None
            if key in REPLACED or not isinstance(current, dict) or not isinstance(value, dict):
                merged._forget((key,))
                merged.values[key] = copy.deepcopy(value)
            else:
                merged.values[key] = _merge(current, value)
        for path, origin in self.origins.items():
            merged.origins[path] = origin
            if path[0] in SLOTS and isinstance(self.values[str(path[0])], str):
                merged.origins[path + ("name",)] = origin
        return merged

    def leaves(self) -> Iterator[tuple[KeyPath, Any]]:
        """Every value that is no table, with its key path."""
        return leaves(self.values)

    def _forget(self, path: KeyPath) -> None:
        for known in [p for p in self.origins if p[: len(path)] == path]:
            del self.origins[known]


def leaves(values: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every value of nested tables that is no table itself, with its key path."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _starts_over(value: Any, current: Any) -> bool:
    tables = isinstance(value, dict) and isinstance(current, dict)
    return tables and "name" in value and value["name"] != current.get("name")


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        current = merged.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            merged[key] = _merge(current, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
