"""A comparison as one HTML file that opens anywhere: nothing is fetched, nothing is installed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

from clozebox.report.comparison import Comparison
from clozebox.report.document import as_document
from clozebox.report.html_tables import COLOURS, arms_table, html_table
from clozebox.report.notes import notes
from clozebox.report.records import RunRecord
from clozebox.report.search_summary import trials_table
from clozebox.report.sections import (
    cost_table,
    differences_table,
    efficiency_table,
    metrics_table,
    result_table,
    sensitivity_table,
)
from clozebox.report.tables import Table
from clozebox.report.task_table import task_table
from clozebox.report.verdict import summary, verdicts
from clozebox.training.files import write_atomically

MOST_POINTS = 200
"""Of a curve: more than the width of the page can tell apart."""
MANY_RUNS = 24
PILLS = {"same": "undecided", "unknown": "no verdict"}
SCRIPTS = (
    "page_canvas.js",
    "page_curves.js",
    "page_forest.js",
    "page_search.js",
    "page_save.js",
    "page.js",
)


def write_page(comparison: Comparison, path: Path, refresh: int | None = None) -> None:
    """Write the page; its links to the runs are relative to where it lies.

    With ``refresh``, a browser that shows it looks again after so many seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, as_page(comparison, path.parent, refresh).encode())


def as_page(comparison: Comparison, beside: Path | None = None, refresh: int | None = None) -> str:
    """The whole page as HTML, with links for a page that lies in ``beside``."""
    start = beside or comparison.folder
    return Template(_part("page.html")).substitute(
        refresh="" if refresh is None else f'<meta http-equiv="refresh" content="{refresh}">',
        question=escape(comparison.question),
        experiment=escape(comparison.experiment),
        baseline=escape(comparison.baseline.name),
        facts=escape(_facts(comparison)),
        verdicts=_verdicts(comparison),
        notes="\n".join(f"<li>{escape(note)}</li>" for note in notes(comparison)),
        result=_result(comparison),
        sections="\n".join(_sections(comparison)),
        runs=_runs(comparison, start),
        data=_embedded(as_document(comparison, start, MOST_POINTS)),
        style=_part("page.css"),
        script="\n".join(_part(name) for name in SCRIPTS),
    )


def _part(name: str) -> str:
    return files("clozebox.report").joinpath(name).read_text(encoding="utf-8")


def _embedded(document: object) -> str:
    """JSON that cannot end its script element: ``<`` stands only inside strings there."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _facts(comparison: Comparison) -> str:
    done = sum(len(arm.finished) for arm in comparison.arms)
    kind = "trials" if comparison.ranks_trials else "arms"
    counts = f"{len(comparison.arms)} {kind}, {done} of {len(comparison.runs)} runs done"
    counts += f", chosen from {len(comparison.trials)} trials" if comparison.winners else ""
    training = sum(run.state == "running" for run in comparison.runs)
    counts += f", {training} in training" if training else ""
    newest = max((str(run.status.get("updated", "")) for run in comparison.runs), default="")
    return counts + (f", last written {newest.replace('T', ' ')[:16]}" if newest else "")


def _verdicts(comparison: Comparison) -> str:
    found = verdicts(comparison, comparison.metric)
    if not found:
        return "\n".join(f"<li>{escape(sentence)}</li>" for sentence in summary(comparison))
    return "\n".join(
        f'<li><span class="pill {v.outcome}">{PILLS.get(v.outcome, v.outcome)}</span>'
        f"<span>{_sentence(v.sentence)}</span></li>"
        for v in found
    )


def _sentence(text: str) -> str:
    """A true minus, and no line that ends between a number and what it counts."""
    words = re.sub(r"(?<= )-(?=\d)", "\N{MINUS SIGN}", escape(text))
    return re.sub(r"(\d) (%|paired)", r"\1&nbsp;\2", words)


def _result(comparison: Comparison) -> str:
    search = comparison.ranks_trials
    table = trials_table(comparison) if search else result_table(comparison, comparison.metric)
    return arms_table(table, _drawn(comparison))


def _drawn(comparison: Comparison) -> list[str]:
    """The arms whose curves are drawn: of a search, the best trials."""
    names = [arm.name for arm in comparison.arms]
    return names[:COLOURS] if comparison.ranks_trials else names


def _sections(comparison: Comparison) -> Iterator[str]:
    if comparison.ranks_trials:
        yield _section(comparison, cost_table(comparison), is_long=True)
        return
    tasks, every = task_table(comparison), metrics_table(comparison)
    if len(comparison.arms) > 1:
        yield _section(comparison, tasks)
    yield _section(comparison, every, is_long=len(comparison.arms) > 1)
    yield _section(comparison, sensitivity_table(comparison))
    yield _section(comparison, efficiency_table(comparison))
    yield _section(comparison, cost_table(comparison))
    yield _section(comparison, differences_table(comparison))
    if comparison.winners:
        yield _section(comparison, trials_table(comparison), is_long=True)


def _section(comparison: Comparison, table: Table | None, is_long: bool = False) -> str:
    """A table under its title, folded where it ``is_long``."""
    if table is None:
        return ""
    title = escape(table.title[0].upper() + table.title[1:])
    shown = arms_table(replace(table, title=""), _drawn(comparison))
    return _folded(title, shown) if is_long else f"<section>\n<h2>{title}</h2>\n{shown}\n</section>"


def _folded(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n{content}\n</details>"


def _runs(comparison: Comparison, start: Path) -> str:
    names = ("arm", "run", "state", "step", "reason")
    head = "".join(f'<th class="label">{name}</th>' for name in names)
    runs = comparison.every_run
    rows = "\n".join(_run(run, start) for run in runs)
    table = html_table("one folder per run", head, rows)
    return _folded(f"All {len(runs)} runs", table) if len(runs) > MANY_RUNS else table


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
