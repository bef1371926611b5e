"""The files of a task -> its examples, or everything that is wrong with them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from clozebox.errors import did_you_mean
from clozebox.evaluation.finetuning.examples import Dataset, LabelledText, TaggedWords
from clozebox.evaluation.finetuning.faults import Faults
from clozebox.evaluation.finetuning.rows import READERS, Row
from clozebox.evaluation.finetuning.settings import TaskSettings
from clozebox.evaluation.finetuning.squad import read_squad
from clozebox.evaluation.finetuning.task import COLUMNS, Task


class _Draft(NamedTuple):
    """An example whose classes are still names: its text or words, and its label or tags."""

    row: Row
    content: Any
    label: Any


class _Refused(Exception):
    """A field is not what it must be."""


def load_dataset(task: Task) -> Dataset:
    """Read every file of a task.

    Raises:
        UserError: what is wrong, with file, line and reason.
    """
    faults = Faults()
    labels: tuple[str, ...] = ()
    splits: dict[str, Sequence[Any]]
    if task.settings.kind == "question_answering":
        splits = {name: read_squad(path, faults) for name, path in task.files.items()}
        faults.settle()
    else:
        drafts = {name: list(_drafts(task, path, faults)) for name, path in task.files.items()}
        faults.settle()
        labels = _labels(task, drafts["train"], faults)
        finish = KINDS[task.settings.kind].finish
        splits = {
            name: [one for draft in some if (one := finish(draft, labels, faults)) is not None]
            for name, some in drafts.items()
        }
        faults.settle()
    for name, examples in splits.items():
        if not examples:
            faults.add(task.files[name], 1, f"there is no example in it: the {name} split is empty")
    faults.settle()
    return Dataset(splits, labels, _fingerprint(task))


def _drafts(task: Task, path: Path, faults: Faults) -> Iterator[_Draft]:
    settings = task.settings
    columns = [column for key in COLUMNS if (column := getattr(settings, key)) is not None]
    draft = KINDS[settings.kind].draft
    for row in READERS[settings.format](path, columns, faults):
        try:
            yield draft(settings, row)
        except _Refused as refused:
            faults.add(path, row.line, str(refused))


def _classified(settings: TaskSettings, row: Row) -> _Draft:
    label = _field(row, settings.label)
    if not isinstance(label, str | int) or label == "":
        raise _Refused(f"the label must be a text or a whole number (got {label!r})")
    # As it is written: 1 is "1" in JSON too, and true is "true".
    name = str(label).lower() if isinstance(label, bool) else str(label)
    return _Draft(row, _texts(settings, row), name)


def _valued(settings: TaskSettings, row: Row) -> _Draft:
    label = _field(row, settings.label)
    try:
        value = math.nan if isinstance(label, bool) else float(label)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise _Refused(f"the label must be a finite number (got {label!r})")
    return _Draft(row, _texts(settings, row), value)


def _tagged(settings: TaskSettings, row: Row) -> _Draft:
    words, tags = _words(row, settings.text), _words(row, settings.label)
    if len(words) != len(tags) or not words:
        raise _Refused(f"{len(words)} words and {len(tags)} tags")
    return _Draft(row, words, tags)


def _texts(settings: TaskSettings, row: Row) -> tuple[str, str | None]:
    """The text, and its pair where the task has pairs."""
    pair = None if settings.text_pair is None else _text(row, settings.text_pair)
    return _text(row, settings.text), pair


def _text(row: Row, column: int | str | None) -> str:
    text = _field(row, column)
    if not isinstance(text, str):
        raise _Refused(f"column '{column}' must hold a text (got {text!r})")
    return text


def _words(row: Row, column: int | str | None) -> tuple[str, ...]:
    """A list of texts, or one text with blanks between the words."""
    given = _field(row, column)
    words = given.split() if isinstance(given, str) else given
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _Refused(f"column '{column}' must hold words: a list of them, or one text")
    return tuple(words)


def _field(row: Row, column: int | str | None) -> Any:
    return row.fields[column]  # type: ignore[index]


def _labels(task: Task, drafts: Sequence[_Draft], faults: Faults) -> tuple[str, ...]:
    """Those that the task names, or those of the training file, sorted."""
    if task.settings.kind == "regression":
        return ()
    if task.settings.labels is not None:
        return tuple(map(str, task.settings.labels))
    is_tagged = task.settings.kind == "tagging"
    found = {tag for d in drafts for tag in (d.label if is_tagged else (d.label,))}
    if len(found) == 1:
        faults.add(task.files["train"], 1, f"every label is '{min(found)}': there is no choice")
    return tuple(sorted(found))


def _text_example(draft: _Draft, labels: tuple[str, ...], faults: Faults) -> LabelledText | None:
    number = _number(draft.label, labels, draft.row, 0, faults)
    text, pair = draft.content
    return None if number is None else LabelledText(text, pair, number)


def _value_example(draft: _Draft, labels: tuple[str, ...], faults: Faults) -> LabelledText:
    text, pair = draft.content
    return LabelledText(text, pair, draft.label)


def _tagged_example(draft: _Draft, labels: tuple[str, ...], faults: Faults) -> TaggedWords | None:
    tags = [_number(tag, labels, draft.row, n, faults) for n, tag in enumerate(draft.label)]
    known = tuple(tag for tag in tags if tag is not None)
    return TaggedWords(draft.content, known) if len(known) == len(tags) else None


def _number(label: str, labels: tuple[str, ...], row: Row, item: int, faults: Faults) -> int | None:
    if label in labels:
        return labels.index(label)
    shown = f"known: {', '.join(labels)}" if len(labels) < 12 else f"{len(labels)} are known"
    reason = f"unknown label '{label[:60]}'{did_you_mean(label[:60], labels)} ({shown})"
    faults.add(row.path, row.line_of(item), reason)
    return None


class _Kind(NamedTuple):
    draft: Callable[[TaskSettings, Row], _Draft]
    """A row -> an example whose classes are names. Raises _Refused."""
    finish: Callable[[_Draft, tuple[str, ...], Faults], LabelledText | TaggedWords | None]
    """Names -> numbers; None, and a fault, where a name is not known."""


KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "classification": _Kind(_classified, _text_example),
        "regression": _Kind(_valued, _value_example),
        "tagging": _Kind(_tagged, _tagged_example),
    }
)


def _fingerprint(task: Task) -> str:
    digest = hashlib.sha256()
    for name, path in task.files.items():
        with path.open("rb") as file:
            digest.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
