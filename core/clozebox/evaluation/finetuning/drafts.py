"""A row of a table -> an example whose classes are still names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from clozebox.evaluation.finetuning.lines import is_text
from clozebox.evaluation.finetuning.rows import Row
from clozebox.evaluation.finetuning.settings import TaskSettings


class Draft(NamedTuple):
    """An example whose classes are still names: its text or words, and its label or tags."""

    row: Row
    content: Any
    label: Any


class Refused(Exception):
    """A field is not what it must be."""


def _classified(settings: TaskSettings, row: Row) -> Draft:
    label = _field(row, settings.label)
    if not isinstance(label, str | int) or label == "" or not is_text(str(label)):
        raise Refused(f"the label must be a text or a whole number (got {label!r})")
    # As it is written: 1 is "1" in JSON too, and true is "true".
    name = str(label).lower() if isinstance(label, bool) else str(label)
    return Draft(row, _texts(settings, row), name)


def _valued(settings: TaskSettings, row: Row) -> Draft:
    label = _field(row, settings.label)
    try:
        value = math.nan if isinstance(label, bool) else float(label)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise Refused(f"the label must be a finite number (got {label!r})")
    return Draft(row, _texts(settings, row), value)


def _tagged(settings: TaskSettings, row: Row) -> Draft:
    words, tags = _words(row, settings.text), _words(row, settings.label)
    if len(words) != len(tags) or not words:
        raise Refused(f"{len(words)} words and {len(tags)} tags")
    return Draft(row, words, tags)


def _texts(settings: TaskSettings, row: Row) -> tuple[str, str | None]:
    """The text, and its pair where the task has pairs."""
    pair = None if settings.text_pair is None else _text(row, settings.text_pair)
    return _text(row, settings.text), pair


def _text(row: Row, column: int | str | None) -> str:
    text = _field(row, column)
    if not isinstance(text, str) or not is_text(text):
        raise Refused(f"column '{column}' must hold a text (got {text!r:.80})")
    return text


def _words(row: Row, column: int | str | None) -> tuple[str, ...]:
    """A list of texts, or one text with blanks between the words."""
    given = _field(row, column)
    words = given.split() if isinstance(given, str) else given
    if not isinstance(words, list) or not all(isinstance(w, str) and is_text(w) for w in words):
        raise Refused(f"column '{column}' must hold words: a list of them, or one text")
    return tuple(words)


def _field(row: Row, column: int | str | None) -> Any:
    return row.fields[column]  # type: ignore[index]


DRAFTS: Mapping[str, Callable[[TaskSettings, Row], Draft]] = MappingProxyType(
    {"classification": _classified, "regression": _valued, "tagging": _tagged}
)
"""Of each kind. Raises Refused."""
