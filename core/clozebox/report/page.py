"""A comparison as one HTML file that opens anywhere: nothing is fetched, nothing is installed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

from clozebox.report.comparison import Comparison
from clozebox.report.document import as_document
from clozebox.report.notes import notes
from clozebox.report.records import RunRecord
from clozebox.report.sections import cost_table, differences_table, metrics_table, result_table
from clozebox.report.tables import Table
from clozebox.report.verdict import summary, verdicts
from clozebox.training.files import write_atomically

COLOURS = 8
PILLS = {"same": "undecided", "unknown": "no verdict"}


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page; its links to the runs are relative to where it lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, as_page(comparison, path.parent).encode())


def as_page(comparison: Comparison, beside: Path | None = None) -> str:
    """The whole page as HTML, with links for a page that lies in ``beside``."""
    start = beside or comparison.folder
    return Template(_part("page.html")).substitute(
        question=escape(comparison.question),
        experiment=escape(comparison.experiment),
        baseline=escape(comparison.baseline.name),
        facts=escape(_facts(comparison)),
        verdicts=_verdicts(comparison),
        notes="\n".join(f"<li>{escape(note)}</li>" for note in notes(comparison)),
        result=_arms_table(result_table(comparison, comparison.metric), comparison),
        sections=_sections(comparison),
        runs=_runs(comparison, start),
        data=_embedded(as_document(comparison, start)),
        style=_part("page.css"),
        script=_part("page.js"),
    )


def _part(name: str) -> str:
    return files("clozebox.report").joinpath(name).read_text(encoding="utf-8")


def _embedded(document: object) -> str:
    """JSON that cannot end its script element: ``<`` stands only inside strings there."""
    return json.dumps(document, allow_nan=False).replace("<", "\\u003c")


def _facts(comparison: Comparison) -> str:
    done = sum(len(arm.finished) for arm in comparison.arms)
    counts = f"{len(comparison.arms)} arms, {done} of {len(comparison.runs)} runs done"
    newest = max((str(run.status.get("updated", "")) for run in comparison.runs), default="")
    return counts + (f", last written {newest.replace('T', ' ')[:16]}" if newest else "")


def _verdicts(comparison: Comparison) -> str:
    if len(comparison.arms) == 1:
        return "\n".join(f"<li>{escape(sentence)}</li>" for sentence in summary(comparison))
    return "\n".join(
        f'<li><span class="pill {v.outcome}">{PILLS.get(v.outcome, v.outcome)}</span>'
        f"<span>{_sentence(v.sentence)}</span></li>"
        for v in verdicts(comparison, comparison.metric)
    )


def _sentence(text: str) -> str:
    return escape(text).replace("95 %", "95&nbsp;%")


def _sections(comparison: Comparison) -> str:
    tables = (
        cost_table(comparison),
        metrics_table(comparison),
        differences_table(comparison),
    )
    return "\n".join(
        f"<section>\n<h2>{escape(table.title.capitalize())}</h2>\n"
        f"{_arms_table(replace(table, title=''), comparison)}\n</section>"
        for table in tables
        if table is not None
    )


def _arms_table(table: Table, comparison: Comparison) -> str:
    """A table whose arm names carry the colour that the arm has in the pictures."""
    swatches = {
        arm.name: f'<span class="swatch" style="background:var(--arm-{i % COLOURS})"></span>'
        for i, arm in enumerate(comparison.arms)
    }

    def cell(text: str, column: int, tag: str) -> str:
        words = "label prose" if table.labels > 2 else "label"
        label = f' class="{words}"' if column < table.labels else ""
        is_arm = table.header[column] == "arm" or tag == "th" and table.header[0] == "setting"
        swatch = swatches.get(text, "") if is_arm else ""
        return f"<{tag}{label}>{swatch}{escape(text)}</{tag}>"

    head = "".join(cell(text, i, "th") for i, text in enumerate(table.header))
    rows = ("".join(cell(text, i, "td") for i, text in enumerate(row)) for row in table.rows)
    return _table(escape(table.title), head, "\n".join(f"<tr>{row}</tr>" for row in rows))


def _table(caption: str, head: str, body: str) -> str:
    return (
        f'<div class="scroll"><table>{f"<caption>{caption}</caption>" if caption else ""}\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _runs(comparison: Comparison, start: Path) -> str:
    names = ("arm", "run", "state", "step", "reason")
    head = "".join(f'<th class="label">{name}</th>' for name in names)
    return _table("one folder per run", head, "\n".join(_run(r, start) for r in comparison.runs))


def _run(run: RunRecord, start: Path) -> str:
    folder = escape(quote(Path(os.path.relpath(run.path, start)).as_posix()))
    cells = (
        escape(run.arm),
        f'<a href="{folder}/">seed {run.seed}</a>',
        escape(run.state),
        f"{run.status.get('step', 0):,}",
    )
    reason = escape(run.reason or "")
    labels = "".join(f'<td class="label">{cell}</td>' for cell in cells)
    return f'<tr>{labels}<td class="label prose">{reason}</td></tr>'
