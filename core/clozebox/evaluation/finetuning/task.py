"""Reads a task file, with every problem told at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clozebox.config.layers import Table
from clozebox.config.locate import read_toml
from clozebox.config.overrides import parse_override
from clozebox.config.problems import Problems, show, unknown
from clozebox.evaluation.finetuning.glue import GLUE
from clozebox.evaluation.finetuning.settings import METRICS, TaskSettings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
ONLY_QUESTIONS = ("doc_stride", "answer_tokens")
COLUMNS = ("text", "text_pair", "label")


@dataclass(frozen=True)
class Task:
    """A task: its name, which its metrics begin with, and what its file says."""

    name: str
    path: Path
    settings: TaskSettings

    @property
    def metric(self) -> str:
        """The one that decides."""
        return self.settings.metric or METRICS[self.settings.kind][0]

    @property
    def files(self) -> dict[str, Path]:
        """The file of each split that there is."""
        given = {name: getattr(self.settings, name) for name in ("train", "development", "test")}
        return {name: self.path.parent / file for name, file in given.items() if file}


def read_task(path: Path, overrides: Sequence[str] = ()) -> Task:
    """The task in a TOML file, ``--set`` overrides laid over it.

    Raises:
        ConfigError: all that is wrong with the file, each with its line.
    """
    table, problems = read_toml(path).table(), Problems()
    for text in overrides:
        table = parse_override(text).over(table)
    if not NAME.fullmatch(path.stem):
        text = f"a task's name (its file's) is letters, digits, '_' and '-' (got {show(path.stem)})"
        problems.add(f"{path}:1", (), text)
    table = _with_glue(table, problems)
    settings = None if problems.lines else problems.settings(TaskSettings, table, ())
    if settings is not None:
        for key, text in _contradictions(settings):
            where = tuple(key.split("."))
            problems.add(table.origin(where), where, text)
    return Task(path.stem, path, problems.settled(settings))


def _with_glue(table: Table, problems: Problems) -> Table:
    """The facts of one of GLUE's tasks under what the file says itself."""
    name = table.values.get("glue")
    if table.values.get("format") != "glue":
        if name is not None:
            problems.add(table.origin(("glue",)), ("glue",), 'is read only with format = "glue"')
        return table
    if not isinstance(name, str) or name not in GLUE:
        what = "must be given" if name is None else f"no such task (got {show(name)})"
        problems.add(table.origin(("glue",)), ("glue",), unknown(str(name), what, GLUE))
        return table
    for key in ("kind", *COLUMNS):
        if key in table.values:
            problems.add(table.origin((key,)), (key,), f"GLUE's {name} says this itself")
    return Table({**GLUE[name], **table.values}, table.origins, table.otherwise)


def _contradictions(given: TaskSettings) -> Iterator[tuple[str, str]]:
    """What fits its type and yet not together: key path and reason."""
    if (given.kind == "question_answering") != (given.format == "squad"):
        yield "format", 'question_answering has format = "squad", and no other kind has'
    if given.format == "conll" and given.kind != "tagging":
        yield "format", "conll holds tags: kind must be tagging"
    yield from _column_problems(given)
    if given.labels is not None and given.kind in ("regression", "question_answering"):
        yield "labels", f"nothing reads it: {given.kind} has no classes"
    if given.labels is not None and len(set(map(str, given.labels))) < max(2, len(given.labels)):
        yield "labels", f"must be two or more, all different (got {show(given.labels)})"
    if given.metric is not None and given.metric not in METRICS[given.kind]:
        what = f"{given.kind} has no such metric (got {show(given.metric)})"
        yield "metric", unknown(given.metric, what, METRICS[given.kind])
    if given.kind != "question_answering":
        for key in ONLY_QUESTIONS:
            if key in given.finetuning.model_fields_set:
                yield f"finetuning.{key}", "nothing reads it: only question_answering does"
    elif "dropout" in given.finetuning.model_fields_set:
        yield "finetuning.dropout", "nothing reads it: question_answering has none before its head"


def _column_problems(given: TaskSettings) -> Iterator[tuple[str, str]]:
    columns: Mapping[str, int | str] = {
        key: column for key in COLUMNS if (column := getattr(given, key)) is not None
    }
    if given.format == "squad":
        for key in columns:
            yield key, "nothing reads it: the format squad says where everything is"
        return
    for key in ("text", "label"):
        if key not in columns:
            yield key, "must be given: the column that holds it"
    if given.text_pair is not None and given.kind == "tagging":
        yield "text_pair", "nothing reads it: tagging has one text"
    numbered = [isinstance(column, int) for column in columns.values()]
    if given.format == "conll" and not all(numbered):
        yield "text", "conll has no header: columns are numbers from 0, or from the end from -1"
    elif given.format in ("jsonl", "parquet") and any(numbered):
        yield "text", f"columns of {given.format} have names"
    elif any(numbered) and not all(numbered):
        yield "text", "columns are all names, or all numbers where the file has no header"
