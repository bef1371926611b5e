"""`--set key=value`, and the settings a sweep tries."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from clozebox.config.layers import KeyPath, Table, leaves
from clozebox.errors import UserError


def parse_override(text: str) -> Table:
    """`optim.lr=1e-3` as a table; a value that is no TOML is taken as a bare string.

    Raises `UserError`, naming `--set`, when there is no key or no value.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {text}: must be key=value, such as optim.lr=1e-3")
    values = _toml(f"{key} = {value}") if "\n" not in value else None
    if values is None:
        values = _toml(f"{key} = {json.dumps(value.strip(), ensure_ascii=False)}")
    if values is None:
        raise UserError(f"--set {text}: '{key}' is no key such as optim.lr")
    origin = f"--set {text}"
    return Table(values, origins_of(values, origin), origin)


def override_table(values: Mapping[str, Any], origin: str) -> Table:
    """``{"optim.lr": 1e-3}`` as a table."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        table = nested
        for parent in parents:
            inner = table.setdefault(parent, {})
            # `{"size": "mini", "size.hidden_size": 96}`: the name and an option of it
            table[parent] = inner if isinstance(inner, dict) else {"name": inner}
            table = table[parent]
        table[last] = value
    return Table(nested, origins_of(nested, origin), origin)


def _toml(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def origins_of(values: Mapping[str, Any], origin: str) -> dict[KeyPath, str]:
    """One origin for every key path of ``values``."""
    return {
        path[:length]: origin for path, _ in leaves(values) for length in range(1, len(path) + 1)
    }
