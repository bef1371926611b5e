"""A table of words, and the ways to print it."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_WIDTH = 100
MIN_COLUMN = 8


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first ``labels`` columns are words (set left), the rest are numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1
    note: str = ""
    """What a reader must know of it, in words."""


def as_text(table: Table) -> str:
    """Aligned columns; words, never numbers, are cut with an ellipsis to fit 100 characters."""
    lines = [table.header, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    words = range(table.labels)
    while sum(widths) + 2 * len(widths) - 2 > MAX_WIDTH:
        widest = max(words, key=lambda i: widths[i])
        if widths[widest] <= MIN_COLUMN:
            break
        widths[widest] -= 1
    rule = tuple("─" * width for width in widths)
    shown = [_aligned(line, widths, table.labels) for line in (table.header, rule, *table.rows)]
    note = textwrap.wrap(table.note, MAX_WIDTH) if table.note else []
    return "\n".join([table.title, "", *shown, *note, ""])


def _aligned(cells: Sequence[str], widths: Sequence[int], labels: int) -> str:
    cut = [c if len(c) <= w else c[: w - 1] + "…" for c, w in zip(cells, widths, strict=True)]
    set_out = [
        cell.ljust(width) if i < labels else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cut, widths, strict=True))
    ]
    return "  ".join(set_out).rstrip()


def as_markdown(table: Table) -> str:
    """A GitHub table under a bold title."""
    marks = [":--" if i < table.labels else "--:" for i in range(len(table.header))]
    lines = [table.header, marks, *table.rows]
    body = ["| " + " | ".join(_markdown_cell(c) for c in line) + " |" for line in lines]
    note = ["", _markdown_cell(table.note)] if table.note else []
    return "\n".join([f"**{_markdown_cell(table.title)}**", "", *body, *note, ""])


def _markdown_cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def as_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Comma-separated under a header of the records' keys; what is missing is an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return buffer.getvalue()
