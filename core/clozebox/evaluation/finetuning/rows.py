"""Tables of examples -> rows: TSV, CSV, JSON lines, Parquet and CoNLL's columns."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clozebox.errors import did_you_mean
from clozebox.evaluation.finetuning.faults import Faults
from clozebox.evaluation.finetuning.lines import lines_of

Columns = Sequence[int | str]
"""The columns that are wanted: names, or numbers where there is no header."""
Records = Iterator[tuple[int, list[str]]]


@dataclass(frozen=True)
class Row:
    """The fields of an example, by name or by number."""

    path: Path
    line: int
    """Where it begins, counted from 1; in Parquet the number of the row."""
    fields: Mapping[str, Any] | Sequence[Any]
    item_a_line: bool = False
    """Whether each field is a list whose items stand on consecutive lines."""

    def line_of(self, item: int) -> int:
        """The line of one item of a field."""
        return self.line + item if self.item_a_line else self.line


def read_tsv(path: Path, columns: Columns, faults: Faults) -> Iterator[Row]:
    """Fields between tabs, as they are: no quoting."""
    return _table(path, _tabbed(path, faults), columns, faults)


def read_glue(path: Path, columns: Columns, faults: Faults) -> Iterator[Row]:
    """The same; a row that ends before a wanted column, as some of QQP's do, is passed over."""
    return _table(path, _tabbed(path, faults), columns, faults, ragged=True)


def read_csv(path: Path, columns: Columns, faults: Faults) -> Iterator[Row]:
    """Fields between commas, in double quotes where need be (RFC 4180)."""
    return _table(path, _quoted(path, faults), columns, faults)


def read_jsonl(path: Path, columns: Columns, faults: Faults) -> Iterator[Row]:
    """One JSON object a line."""
    for number, line in lines_of(path, faults):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.add(path, number, f"not JSON: {error}")
            continue
        if not isinstance(record, dict):
            faults.add(path, number, "must be a JSON object, such as {...}")
        elif _has_columns(path, number, list(record), columns, faults):
            yield Row(path, number, record)


def read_parquet(path: Path, columns: Columns, faults: Faults) -> Iterator[Row]:
    """The rows of a Parquet file."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        faults.add(path, None, 'Parquet needs pyarrow: pip install "clozebox[parquet]"')
        return
    numbers = itertools.count(1)
    try:
        with ParquetFile(path) as file:
            if not _has_columns(path, 1, file.schema_arrow.names, columns, faults):
                return
            for batch in file.iter_batches(columns=list(columns)):
                for record in batch.to_pylist():
                    yield Row(path, next(numbers), record)
    except (OSError, ArrowException) as error:
        faults.add(path, None, f"cannot be read as Parquet: {error}")


def read_conll(path: Path, columns: Columns, faults: Faults) -> Iterator[Row]:
    """A word and its columns a line, a blank line after each sentence -> lists of columns."""
    words: list[list[str]] = []
    begin = 0
    for number, line in lines_of(path, faults):
        if not line.strip():
            yield from _sentence(path, begin, words)
            words = []
        elif not line.startswith("-DOCSTART-"):
            fields = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
            begin = begin if words else number
            if words and len(fields) != len(words[0]):
                reason = f"{len(fields)} columns; its sentence begins with {len(words[0])}"
                faults.add(path, number, reason)
            elif _has_columns(path, number, fields, columns, faults):
                words.append(fields)
    yield from _sentence(path, begin, words)


def _sentence(path: Path, begin: int, words: list[list[str]]) -> Iterator[Row]:
    if words:
        columns = [list(column) for column in zip(*words, strict=True)]
        yield Row(path, begin, columns, item_a_line=True)


def _tabbed(path: Path, faults: Faults) -> Records:
    return ((number, line.rstrip("\r\n").split("\t")) for number, line in lines_of(path, faults))


def _quoted(path: Path, faults: Faults) -> Records:
    last = 0

    def lines() -> Iterator[str]:
        nonlocal last
        for number, line in lines_of(path, faults):
            last = number
            yield line

    begin = 1
    try:
        for record in csv.reader(lines(), strict=True):
            yield begin, record
            begin = last + 1
    except csv.Error as error:
        faults.add(path, begin, f"not CSV from here on: {error}")


def _table(
    path: Path, records: Records, columns: Columns, faults: Faults, ragged: bool = False
) -> Iterator[Row]:
    """Records under the names in the first of them; by number where the columns are numbers."""
    names: list[str] | None = None
    if isinstance(columns[0], str):
        before = len(faults.lines)
        first, names = next(records, (1, []))
        if len(faults.lines) > before or not _has_columns(path, first, names, columns, faults):
            return  # without its header nothing can be said of the rest
    for number, fields in records:
        if not any(fields):
            continue
        if names is None:
            if _has_columns(path, number, fields, columns, faults):
                yield Row(path, number, fields)
        elif ragged or len(fields) == len(names):
            named = dict(zip(names, fields, strict=False))
            if all(column in named for column in columns):
                yield Row(path, number, named)
            else:
                faults.passed_over[path] += 1
        else:
            faults.add(path, number, f"{len(fields)} fields; the header names {len(names)}")


def _has_columns(
    path: Path, line: int, there: Sequence[str], columns: Columns, faults: Faults
) -> bool:
    """Whether every wanted column is there, once; if not, that is noted."""
    fine = True
    for column in columns:
        if isinstance(column, int):
            missing = not -len(there) <= column < len(there)
            reason = f"no column {column}: there are {len(there)}, counted from 0"
        elif there.count(column) > 1:
            missing, reason = True, f"{there.count(column)} columns are named '{column}'"
        else:
            missing = column not in there
            known = ", ".join(there) or "none"
            reason = f"no column '{column}'{did_you_mean(column, there)} (there are: {known})"
        if missing:
            faults.add(path, line, reason)
            fine = False
    return fine


Reader = Callable[[Path, Columns, Faults], Iterator[Row]]
READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "tsv": read_tsv,
        "glue": read_glue,
        "csv": read_csv,
        "jsonl": read_jsonl,
        "parquet": read_parquet,
        "conll": read_conll,
    }
)
