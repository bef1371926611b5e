"""Tables as HTML: names escaped, numbers set as numbers, arms in their colours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from clozebox.report.numbers import MISSING
from clozebox.report.tables import Table
from clozebox.report.task_table import MARKS, UNLIKE

COLOURS = 8
OUTCOMES = {mark: outcome for outcome, mark in MARKS.items()} | {UNLIKE: "unlike"}


def arms_table(table: Table, arms: Sequence[str]) -> str:
    """A table in which the names of ``arms`` carry the colours that they have in the pictures."""
    swatches = {name: swatch(i) for i, name in enumerate(arms)}
    heads = [
        _head(text, i < table.labels, swatches if i else {}) for i, text in enumerate(table.header)
    ]
    prose = table.labels > 2
    rows = (
        "".join(
            _label(text, prose, swatches if table.header[i] == "arm" else {})
            if i < table.labels
            else _number(text)
            for i, text in enumerate(row)
        )
        for row in table.rows
    )
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return html_table(escape(table.title), "".join(heads), body, escape(table.note))


def html_table(caption: str, head: str, body: str, note: str = "") -> str:
    """A table that scrolls by itself where it is too wide, with a note below."""
    return (
        f'<div class="scroll"><table>{f"<caption>{caption}</caption>" if caption else ""}\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        + (f'\n<p class="legend">{note}</p>' if note else "")
    )


def swatch(arm: int) -> str:
    """The dot of an arm's colour."""
    return f'<span class="swatch" style="background:var(--arm-{arm % COLOURS})"></span>'


def _head(text: str, is_label: bool, swatches: Mapping[str, str]) -> str:
    kind = ' class="label"' if is_label else ""
    return f"<th{kind}>{swatches.get(text, '')}{_broken(text)}</th>"


def _label(text: str, prose: bool, swatches: Mapping[str, str]) -> str:
    words = "label prose" if prose else "label"
    if text == MISSING:
        return f'<td class="{words} missing">&ndash;</td>'
    return f'<td class="{words}">{swatches.get(text, "")}{_broken(text)}</td>'


def _broken(text: str) -> str:
    """Long names may be broken where their parts meet, and nowhere else."""
    return re.sub(r"([._/])(?=\w)", r"\1<wbr>", escape(text))


def _number(text: str) -> str:
    """A true minus; what is missing is faint; a mark says what it stands for by its colour too."""
    if text.strip() in ("", MISSING):
        return '<td class="missing">&ndash;</td>'
    number, _, mark = text.partition(" ")
    outcome = OUTCOMES.get(mark)
    shown = re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", escape(number if outcome else text))
    if outcome is None:
        return f"<td>{shown.rstrip()}</td>"
    return f'<td class="{outcome}">{shown}<span class="mark">{mark}</span></td>'
