"""What is wrong with a configuration, said all at once and in the user's own words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from clozebox.components import Settings
from clozebox.config.layers import KeyPath, Table, dotted
from clozebox.errors import UserError, did_you_mean

T = TypeVar("T")
SettingsT = TypeVar("SettingsT", bound=Settings)


class ConfigError(UserError):
    """Everything that is wrong with a configuration; ``problems`` holds one line for each."""

    def __init__(self, problems: Sequence[str]):
        self.problems = tuple(problems)
        many = f"{len(problems)} problems in the configuration:\n  "
        super().__init__((many if len(problems) > 1 else "") + "\n  ".join(problems))


@dataclass
class Problems:
    """Collects problems; the same one found in several arms is said once."""

    lines: list[str] = field(default_factory=list)

    def add(self, origin: str, path: KeyPath, text: str) -> None:
        line = f"{origin}: {dotted(path)}: {text}" if path else f"{origin}: {text}"
        if line not in self.lines:
            self.lines.append(line)

    def extend(self, others: Problems) -> None:
        """Add another collection's problems."""
        self.lines += [line for line in others.lines if line not in self.lines]

    def settled(self, value: T | None) -> T:
        """``value``, when nothing is wrong; else raises `ConfigError` in the order of the lines."""
        if value is None or self.lines:
            raise ConfigError(sorted(self.lines, key=_file_and_line))
        return value

    def unknown_keys(
        self, table: Table, allowed: Sequence[str], elsewhere: Mapping[str, str]
    ) -> None:
        """Add a problem for each key of the table that is not allowed, or belongs elsewhere."""
        for key in table.values:
            if key not in allowed:
                text = elsewhere.get(key) or unknown(key, "unknown key", allowed)
                self.add(table.origin((key,)), (key,), text)

    def settings(
        self, model: type[SettingsT], table: Table, path: KeyPath, fixed: Sequence[str] = ()
    ) -> SettingsT | None:
        """The table at ``path`` as ``model``, or None when something in it is wrong.

        ``fixed`` are keys of the table that are already dealt with and no fields of the model.
        """
        values = table.get(path, {})
        if not isinstance(values, dict):
            allowed = ", ".join(model.model_fields)
            self.add(table.origin(path), path, f"must be a table of {allowed} (got {show(values)})")
            return None
        values = {key: value for key, value in values.items() if key not in fixed}
        try:
            # JSON mode, since strict Python mode takes no list where a tuple is declared.
            return model.model_validate_json(json.dumps(values, default=_date))
        except ValidationError as error:
            for where, text in _sentences(error, model, values):
                self.add(table.origin(path + where), path + where, text)
        return None


def show(value: Any) -> str:
    """A value as it would stand in a file, shortened."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def unknown(given: str, what: str, allowed: Iterable[str]) -> str:
    """A sentence on a name or key that does not exist."""
    known = sorted(allowed)
    return f"{what}{did_you_mean(given, known)} (allowed: {', '.join(known) or 'none'})"


def _date(value: object) -> dict[str, str]:
    """TOML has dates and JSON has none; no setting is one, so that none may pass for a string."""
    return {type(value).__name__: str(value)}


def _file_and_line(line: str) -> tuple[bool, str, int]:
    place = re.match(r"(.*?):(\d+): ", line)
    return (False, place[1], int(place[2])) if place else (True, "", 0)


def _sentences(
    error: ValidationError, model: type[Settings], values: Mapping[str, Any]
) -> list[tuple[KeyPath, str]]:
    found: dict[KeyPath, list[str]] = {}
    for detail in error.errors():
        where = _within(values, detail["loc"])
        text = _sentence(detail, where, model)
        if text not in found.setdefault(where, []):
            found[where].append(text)
    return [(where, " or ".join(texts)) for where, texts in found.items()]


def _within(values: Any, location: Sequence[int | str]) -> KeyPath:
    """The part of pydantic's location that is in the file, without its tags of union members."""
    path: KeyPath = ()
    for index, part in enumerate(location):
        in_table = isinstance(values, dict) and part in values
        in_list = isinstance(values, list) and isinstance(part, int) and part < len(values)
        if in_table or in_list:
            values = values[part]
            path += (part,)
        elif isinstance(values, dict) and index == len(location) - 1:
            path += (part,)
    return path


def _fields_at(annotation: Any, path: KeyPath) -> Iterable[str]:
    """The fields of the settings class that a key path leads to."""
    for key in path:
        if isinstance(annotation, type) and issubclass(annotation, Settings):
            field = annotation.model_fields.get(str(key))
            annotation = field.annotation if field else None
        else:  # `dict[str, SearchSpace]`, `tuple[Phase, ...]`
            inner = [one for one in get_args(annotation) if one is not ...]
            annotation = next(reversed(inner), None)
    return getattr(annotation, "model_fields", ())


def _sentence(detail: Any, where: KeyPath, model: type[Settings]) -> str:
    kind, message, given = detail["type"], detail["msg"], show(detail["input"])
    if kind == "extra_forbidden":
        fields = _fields_at(model, where[:-1])
        return unknown(str(where[-1]), "unknown key", fields) if fields else "unknown key"
    if kind == "missing":
        return "must be given"
    if kind == "value_error":
        return str(message).removeprefix("Value error, ")
    text = f"{message[0].lower()}{message[1:]}".replace("input should be", "must be")
    near = ""
    if kind == "literal_error":
        near = did_you_mean(str(detail["input"]), re.findall(r"'([^']*)'", message))
    return f"{text} (got {given}){near}"
