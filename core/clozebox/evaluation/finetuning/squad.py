"""Questions in SQuAD's JSON, with or without unanswerable ones (Rajpurkar et al., 2016, 2018)."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clozebox.evaluation.finetuning.examples import Question
from clozebox.evaluation.finetuning.faults import Faults
from clozebox.evaluation.finetuning.lines import decoded, is_text


class _Malformed(Exception):
    """Something in the JSON is missing or of another type."""


def read_squad(path: Path, faults: Faults) -> list[Question]:
    """Every question of a file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        faults.add(path, None, f"cannot be read: {error.strerror or error}")
        return []
    text = decoded(raw.removeprefix(codecs.BOM_UTF8), path, 1, faults)
    if text is None:
        return []
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        faults.add(path, error.lineno, f"not JSON: {error.msg} (column {error.colno})")
        return []
    except RecursionError:
        faults.add(path, 1, "not JSON that can be read: it nests too deeply")
        return []
    return list(_questions(path, text, parsed, faults))


def _questions(path: Path, text: str, parsed: Any, faults: Faults) -> Iterator[Question]:
    """What is malformed is named by its place in the JSON: a file is often a single line."""
    try:
        for where, article in _items(parsed, "data", ""):
            for inner, paragraph in _items(article, "paragraphs", where):
                context = _text(paragraph, "context", inner)
                for place, asked in _items(paragraph, "qas", inner):
                    try:
                        yield _question(asked, context, place)
                    except _Malformed as error:
                        faults.add(path, _line_of(text, asked), str(error))
    except _Malformed as error:
        faults.add(path, 1, str(error))


def _question(asked: Any, context: str, where: str) -> Question:
    question = _text(asked, "question", where)
    if asked.get("is_impossible", False):
        return Question(question, context, (), ())
    answers, starts = [], []
    for place, answer in _items(asked, "answers", where):
        given, start = _text(answer, "text", place), answer.get("answer_start")
        if not isinstance(start, int) or not given:
            raise _Malformed(f"{place}: an answer has a text and an answer_start, a whole number")
        found = context[max(start, 0) : start + len(given)]
        if found != given:
            raise _Malformed(
                f"{place}: the context has {found!r} at character {start}, not {given!r}"
            )
        answers.append(given)
        starts.append(start)
    if not answers:
        raise _Malformed(f"{where}: no answer, and is_impossible does not say that there is none")
    return Question(question, context, tuple(answers), tuple(starts))


def _items(table: Any, key: str, where: str) -> Iterator[tuple[str, Any]]:
    path = f"{where}.{key}" if where else key
    found = table.get(key) if isinstance(table, dict) else None
    if not isinstance(found, list):
        raise _Malformed(f"{path}: must be a list, as in SQuAD's JSON")
    for number, item in enumerate(found):
        yield f"{path}[{number}]", item


def _text(table: Any, key: str, where: str) -> str:
    found = table.get(key) if isinstance(table, dict) else None
    if not isinstance(found, str) or not is_text(found):
        raise _Malformed(f"{where}.{key}: must be a text")
    return found


def _line_of(text: str, asked: Any) -> int:
    """The line of a question, found by its id; the first when it has none."""
    name = asked.get("id") if isinstance(asked, dict) else None
    place = text.find(json.dumps(name)) if isinstance(name, str) else 0
    return text.count("\n", 0, max(place, 0)) + 1
