"""``clozebox runs``: what has been run, and how far it got."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from clozebox.report.records import RunRecord


@click.group()
def runs() -> None:
    """List runs, or show one."""


@runs.command("list")
@click.argument("experiment", required=False)
def list_runs(experiment: str | None) -> None:
    """Every run, or those of EXPERIMENT: state, step, main metric and age."""
    from clozebox.cli.experiment_folder import experiment_folder, runs_folder
    from clozebox.report.records import GONE, read_runs
    from clozebox.report.tables import Table, as_text

    folder = experiment_folder(experiment) if experiment else runs_folder()
    found = read_runs(folder)
    if not found:
        click.echo(f"no runs in {folder}")
        return
    now = datetime.now(UTC)
    rows = tuple(_row(run, folder, now) for run in found)
    header = ("run", "state", "step", "metric", "value", "updated")
    click.echo(as_text(Table(f"runs in {folder}", header, rows, labels=2)), nl=False)
    if any(run.state == "stopped" for run in found):
        click.echo(f"stopped: {GONE}")


def _row(run: RunRecord, folder: Path, now: datetime) -> tuple[str, ...]:
    metric = str(run.resolved.get("metric", ""))
    value = run.final.get(metric)
    return (
        run.path.relative_to(folder).as_posix(),
        run.state,
        _step(run),
        metric,
        "-" if value is None else f"{value:.4f}",
        _age(run, now),
    )


def _step(run: RunRecord) -> str:
    step, steps = run.status.get("step"), run.status.get("steps")
    if step is None:
        return "-"
    return f"{step:,}" if steps is None else f"{step:,}/{steps:,}"


def _age(run: RunRecord, now: datetime) -> str:
    from clozebox.report.numbers import duration_text

    updated = run.status.get("updated")
    if updated is None:
        return "-"
    seconds = max(0.0, (now - datetime.fromisoformat(updated)).total_seconds())
    return f"{duration_text(float(round(seconds)))} ago"


@runs.command("show")
@click.argument("run")
def show_run(run: str) -> None:
    """Status, settings and last metrics of RUN (a folder, or experiment/arm/seed-0)."""
    from clozebox.cli.trained_run import find_run
    from clozebox.report.records import read_run

    record = read_run(find_run(run))
    for title, table in (
        ("status", {**record.status, "state": record.state, "reason": record.reason}),
        ("last evaluation", {**record.cost, **record.final}),
        ("settings", record.resolved["settings"]),
    ):
        click.echo(title)
        for line in _lines(table):
            click.echo(f"  {line}")


def _lines(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    """``key = value`` lines under dotted keys."""
    found = []
    for key, value in table.items():
        if isinstance(value, dict):
            found += _lines(value, f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key} = {json.dumps(value)}")
    return found
