"""`clozebox sweep`: train every run of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clozebox.cli.context import open_sandbox, set_option

if TYPE_CHECKING:
    from clozebox.sweep import SweepResult, Workspace


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many runs to train at the same time. With speed.device = 'auto' all of them share "
    "the first GPU: runs are not yet spread over several.",
)
@click.option(
    "--storage",
    metavar="URL",
    help="Any SQLAlchemy URL that Optuna takes, such as a database that many machines share; "
    "needs its driver installed, e.g. psycopg. SQLite is the tested one.  "
    "[default: study.db beside the runs]",
)
@set_option
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Train failed runs again, and diverged ones; a search's diverged trials count as pruned "
    "and stay so.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and train nothing.")
@click.pass_context
def sweep(
    context: click.Context,
    experiment: Path,
    workers: int,
    storage: str | None,
    overrides: tuple[str, ...],
    retry_failed: bool,
    dry_run: bool,
) -> None:
    """Train every run of EXPERIMENT: its arms times its seeds, or the trials of [sweep.space].

    Running the same command again continues where the last one stopped, and never trains a finished
    run twice; running it in two terminals at once shares the work. Ctrl-C saves and stops.
    """
    from clozebox.config import load_experiment
    from clozebox.sweep import Workspace, run_sweep

    sandbox, registry = open_sandbox()
    workspace = Workspace(
        load_experiment(experiment, registry, overrides, sandbox),
        registry,
        runs=sandbox.runs,
        cache=sandbox.cache,
        plugins=sandbox.plugin_paths,
        disabled=sandbox.disable,
    )
    if dry_run:
        _print_plan(workspace)
        return
    result = run_sweep(workspace, workers=workers, storage=storage, retry_failed=retry_failed)
    _print_result(workspace, result, experiment)
    context.exit(result.exit_code)


def _print_plan(workspace: Workspace) -> None:
    from clozebox.sweep import plan_runs

    plan, experiment = plan_runs(workspace.experiment), workspace.experiment
    click.echo(f"{experiment.name}: {experiment.question}")
    click.echo(f"{len(experiment.arms)} arm(s), {len(plan)} run(s), in this order:")
    width = max(len(run.label) for run in plan)
    for run in plan:
        click.echo(f"  {run.label:<{width}}  {workspace.root / run.folder}")


def _print_result(workspace: Workspace, result: SweepResult, experiment: Path) -> None:
    tally = result.tally
    click.echo(
        f"{tally.done} done, {tally.pruned} pruned, {len(tally.failed)} failed "
        f"of {tally.planned} runs in {workspace.root}"
    )
    for failure in tally.failed:
        click.echo(f"  {failure.label}: {failure.reason}\n    {failure.log}", err=True)
    for dropped in tally.dropped:
        click.echo(f"  {dropped.label} pruned: {dropped.reason}")
    if tally.failed:
        click.echo("to try these again, repeat the command with --retry-failed", err=True)
    if result.stopped_by is not None or tally.training:
        left = tally.planned - tally.ended
        click.echo(f"{left} run(s) to go: repeat the command to continue where they stopped")
        for training in tally.training:
            click.echo(f"  still training: {training}")
    elif workspace.experiment.sweep.space:
        _print_best(workspace, result)
    elif tally.done:
        click.echo(f"to compare the arms: clozebox compare {experiment}")


def _print_best(workspace: Workspace, result: SweepResult) -> None:
    for best in result.best:
        values = ", ".join(f"{key} = {value!r}" for key, value in best.values.items())
        click.echo(
            f"  {best.label}: {workspace.experiment.sweep.metric} {best.value:.5g}  {values}"
        )
    click.echo("the best of many trials flatters itself: give it fresh seeds before you compare it")
