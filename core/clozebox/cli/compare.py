"""``clozebox compare``: which arm is better, and is the difference real?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from clozebox.report import Comparison

FORMATS = ("text", "markdown", "csv", "json")


@click.command()
@click.argument("experiment")
@click.option("--metric", help="What the verdict is about; default: the experiment's own.")
@click.option("--baseline", help="The arm to compare with; default: the experiment's first.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--html", type=click.Path(path_type=Path), help="Where the page goes.")
@click.option("--png", type=click.Path(path_type=Path), help="A figure too: .png, .svg or .pdf.")
def compare(
    experiment: str,
    metric: str | None,
    baseline: str | None,
    form: str,
    html: Path | None,
    png: Path | None,
) -> None:
    """Set the arms of EXPERIMENT (a name, its TOML file or a folder of runs) against the first."""
    from clozebox.cli.experiment_folder import experiment_folder

    folder = experiment_folder(experiment)
    click.echo(
        compare_experiment(folder, metric, baseline, form=form, html=html, png=png), nl=False
    )


def compare_experiment(
    folder: Path,
    metric: str | None = None,
    baseline: str | None = None,
    *,
    form: str = "text",
    html: Path | None = None,
    png: Path | None = None,
) -> str:
    """Write the page (``<folder>/comparison.html`` unless told) and return what to print.

    Raises:
        UserError: there are no runs in ``folder``, or no such metric or arm.
    """
    from clozebox.report import compare_runs
    from clozebox.report.page import write_page

    comparison = compare_runs(folder, metric, baseline)
    page = html or folder / "comparison.html"
    write_page(comparison, page)
    if png is not None:
        from clozebox.report.plots import write_figure

        write_figure(comparison, png)
    text = _printed(comparison, form)
    return f"{text}\npage: {page}\n" if form == "text" else text


def _printed(comparison: Comparison, form: str) -> str:
    from clozebox.report.document import as_document, as_records
    from clozebox.report.sections import all_tables
    from clozebox.report.tables import as_csv, as_markdown, as_text

    if form == "csv":
        return as_csv(as_records(comparison))
    if form == "json":
        return json.dumps(as_document(comparison), indent=2, allow_nan=False) + "\n"
    render = as_markdown if form == "markdown" else as_text
    tables = "\n".join(render(table) for table in all_tables(comparison))
    return f"{_opening(comparison, form)}\n{tables}"


def _opening(comparison: Comparison, form: str) -> str:
    """The question, the verdict and the notes, before any table."""
    from clozebox.report.notes import notes
    from clozebox.report.verdict import summary

    title = f"## {comparison.question}" if form == "markdown" else comparison.question
    mark = "- " if form == "markdown" else "  "
    said = [f"{mark}{sentence}" for sentence in summary(comparison)]
    remarks = [f"{mark}{note}" for note in notes(comparison)]
    return "\n".join([title, "", *said, "", *(remarks + [""] if remarks else [])])
