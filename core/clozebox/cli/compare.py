"""``clozebox compare``: which arm is better, and is the difference real?"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from clozebox.report import Comparison

FORMATS = ("text", "markdown", "csv", "json")
WIDTH = 100


@click.command()
@click.argument("experiment")
@click.option("--metric", help="What the verdict is about; default: the experiment's own.")
@click.option("--baseline", help="The arm to compare with; default: the experiment's first.")
@click.option(
    "--effect",
    type=click.FloatRange(min=0, min_open=True),
    help="The smallest difference that matters: how many seeds would it take to find it?",
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--html", type=click.Path(path_type=Path), help="Where the page goes.")
@click.option("--png", type=click.Path(path_type=Path), help="A figure too: .png, .svg or .pdf.")
@click.option(
    "--figures",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for every figure, each as PNG and as SVG.",
)
@click.option("--watch", is_flag=True, help="Follow a sweep: page and tables anew as runs go on.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds between two looks of --watch.",
)
def compare(
    experiment: str,
    metric: str | None,
    baseline: str | None,
    effect: float | None,
    form: str,
    html: Path | None,
    png: Path | None,
    figures: Path | None,
    watch: bool,
    every: float,
) -> None:
    """Set the arms of EXPERIMENT (a name, its TOML file or a folder of runs) against the first."""
    from clozebox.cli.experiment_folder import experiment_folder

    folder = experiment_folder(experiment)
    look = partial(compare_experiment, folder, metric, baseline, effect, html=html)
    if not watch:
        click.echo(look(form=form, png=png, figures=figures), nl=False)
    elif form != "text" or png or figures:
        raise click.UsageError("--watch shows tables and a page: no --format, --png, --figures")
    else:
        _watch(folder, look, every)


def compare_experiment(
    folder: Path,
    metric: str | None = None,
    baseline: str | None = None,
    effect: float | None = None,
    *,
    form: str = "text",
    html: Path | None = None,
    png: Path | None = None,
    figures: Path | None = None,
    refresh: int | None = None,
) -> str:
    """Write the page (``<folder>/comparison.html`` unless told) and return what to print.

    Raises:
        UserError: there are no runs in ``folder``, or no such metric or arm.
    """
    from clozebox.report import compare_runs
    from clozebox.report.page import write_page

    comparison = compare_runs(folder, metric, baseline, effect)
    page = html or folder / "comparison.html"
    write_page(comparison, page, refresh)
    if png is not None:
        from clozebox.report.plots import write_figure

        write_figure(comparison, png)
    drawn = _draw(comparison, figures)
    text = _printed(comparison, form)
    return f"{text}\npage: {page}\n{drawn}" if form == "text" else text


def _watch(folder: Path, look: Callable[..., str], every: float) -> None:
    from clozebox.report.watching import follow

    click.echo("following; Ctrl-C stops")
    try:
        for text in follow(folder, lambda refresh: look(refresh=refresh), every):
            click.clear()  # nothing, where the output is not a terminal
            click.echo(text, nl=False)
    except KeyboardInterrupt:
        look(refresh=None)  # the page that stays does not look for more
        click.echo("stopped")


def _draw(comparison: Comparison, folder: Path | None) -> str:
    """Every figure into ``folder``, and what to say of it."""
    if folder is None:
        return ""
    from clozebox.report.figures import write_figures

    drawn = write_figures(comparison, folder)
    return f"figures: {len(drawn)} files in {folder}\n"


def _printed(comparison: Comparison, form: str) -> str:
    from clozebox.report.document import as_document, as_records
    from clozebox.report.sections import all_tables
    from clozebox.report.tables import as_csv, as_markdown, as_text

    if form == "csv":
        return as_csv(as_records(comparison))
    if form == "json":
        return json.dumps(as_document(comparison), indent=2, allow_nan=False) + "\n"
    render = as_markdown if form == "markdown" else as_text
    shown = all_tables(comparison, everything=form == "markdown")
    tables = "\n".join(render(table) for table in shown)
    return f"{_opening(comparison, form)}\n{tables}"


def _opening(comparison: Comparison, form: str) -> str:
    """The question, the verdict and the notes, before any table."""
    from clozebox.report.notes import notes
    from clozebox.report.verdict import summary

    title = f"## {comparison.question}" if form == "markdown" else comparison.question
    said = [_line(sentence, form) for sentence in summary(comparison)]
    remarks = [_line(note, form) for note in notes(comparison)]
    return "\n".join([title, "", *said, "", *(remarks + [""] if remarks else [])])


def _line(sentence: str, form: str) -> str:
    if form == "markdown":
        return f"- {sentence}"
    return textwrap.fill(sentence, WIDTH, initial_indent="  ", subsequent_indent="    ")
