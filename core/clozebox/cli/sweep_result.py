"""What `clozebox sweep` says at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from clozebox.sweep import SweepResult, Workspace
    from clozebox.sweep.best import Best, Confirmed
    from clozebox.sweep.tally import Tally


def print_result(workspace: Workspace, result: SweepResult, experiment: Path) -> None:
    """What became of the runs, what to do next, and what a search found."""
    tally = result.tally
    click.echo(
        f"{tally.done} done, {tally.pruned} pruned, {len(tally.failed)} failed "
        f"of {tally.planned} runs in {workspace.root}"
    )
    for dropped in tally.dropped:
        click.echo(f"  {dropped.label} pruned: {dropped.reason}")
    tallies = [tally] if result.fresh is None else [tally, result.fresh]
    for one in tallies:
        _print_failures(one)
    if any(one.failed for one in tallies):
        click.echo("to try these again, repeat the command with --retry-failed", err=True)
    left = sum(one.planned - one.ended for one in tallies)
    if result.stopped_by is not None or any(one.training for one in tallies):
        click.echo(f"{left} run(s) to go: repeat the command to continue where they stopped")
        for training in [each for one in tallies for each in one.training]:
            click.echo(f"  still training: {training}")
    if workspace.experiment.sweep.space:
        _print_best(workspace, result)
    if tally.done and not left:
        click.echo(f"to compare the arms: clozebox compare {experiment}")


def _print_failures(tally: Tally) -> None:
    for failure in tally.failed:
        click.echo(f"  {failure.label}: {failure.reason}\n    {failure.log}", err=True)


def _print_best(workspace: Workspace, result: SweepResult) -> None:
    sweep = workspace.experiment.sweep
    fresh = {one.best.label: one for one in result.confirmed}
    for best in result.best:
        values = ", ".join(f"{key} = {value!r}" for key, value in best.values.items())
        found = _on_fresh_seeds(fresh[best.label]) if best.label in fresh else ""
        told = f"{sweep.metric} {best.value:.5g}{found}{_at_cost(best, sweep.against)}"
        click.echo(f"  {best.label}: {told}  {values}")
    if result.best and not fresh:
        click.echo("the best of many trials flatters itself: it wants fresh seeds to be believed")


def _on_fresh_seeds(one: Confirmed) -> str:
    if one.mean is None:
        return " in the search, and not one run on fresh seeds was finished"
    spread = "" if one.spread is None else f" +- {one.spread:.2g}"
    return f" in the search, {one.mean:.5g}{spread} on {len(one.found)} fresh seed(s)"


def _at_cost(best: Best, against: str | None) -> str:
    return "" if best.cost is None else f" at {best.cost:.3g} {against}"
