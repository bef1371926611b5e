"""`clozebox sweep`: train every run of an experiment."""

from __future__ import annotations

from pathlib import Path

import click

from clozebox.cli.context import open_sandbox, set_option
from clozebox.cli.emit import KINDS, cluster_job, refuse_idle_options
from clozebox.cli.remarks import print_warnings, raise_errors
from clozebox.cli.sweep_costs import print_costs, print_plan
from clozebox.cli.sweep_result import print_result


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="How many runs to train at the same time.  [default: 1, or as many as have devices]",
)
@click.option(
    "--devices",
    metavar="auto|0,1,...",
    help="Give each run GPUs of its own, one for each of its ranks. One that is named twice takes "
    "two runs. Without this option all runs see all GPUs and take the first.",
)
@click.option(
    "--storage",
    metavar="URL",
    envvar="CLOZEBOX_STORAGE",
    show_envvar=True,
    help="The database that machines share, postgresql://USER@HOST/NAME: the same command on each "
    "of them shares the work.  [default: study.db beside the runs]",
)
@set_option
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Train failed runs again, and diverged ones; a search's diverged trials count as pruned "
    "and stay so.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the plan and what each arm will cost (FLOPs are counted, time is measured on a few "
    "steps), and train nothing.",
)
@click.option(
    "--emit",
    type=click.Choice(KINDS),
    help="Print the sweep as a job for a cluster, and train nothing.",
)
@click.option(
    "--machines",
    type=click.IntRange(min=1),
    help="Of the job: how many share the runs.  [default: as many as there are runs]",
)
@click.option("--image", help="Of a Kubernetes job: the container image.")
@click.option("--claim", help="Of a Kubernetes job: the volume claim that holds this folder.")
@click.pass_context
def sweep(
    context: click.Context,
    experiment: Path,
    workers: int | None,
    devices: str | None,
    storage: str | None,
    overrides: tuple[str, ...],
    retry_failed: bool,
    dry_run: bool,
    emit: str | None,
    machines: int | None,
    image: str | None,
    claim: str | None,
) -> None:
    """Train every run of EXPERIMENT: its arms times its seeds, or the trials of [sweep.space].

    Running the same command again continues where the last one stopped, and never trains a finished
    run twice; running it in two terminals at once shares the work. Ctrl-C saves and stops.
    """
    from clozebox.config import read_experiment
    from clozebox.sweep import Workspace, run_sweep
    from clozebox.sweep.devices import devices_of

    refuse_idle_options(emit, machines=machines, image=image, claim=claim)
    sandbox, registry = open_sandbox()
    reading = read_experiment(experiment, registry, overrides, sandbox)
    remarks = print_warnings(reading)
    workspace = Workspace(
        reading.experiment,
        registry,
        runs=sandbox.runs,
        cache=sandbox.cache,
        plugins=sandbox.plugin_paths,
        disabled=sandbox.disable,
    )
    if dry_run:
        print_plan(workspace)
        print_costs(workspace, workers or 1)
        raise_errors(remarks)
        return
    raise_errors(remarks)
    if emit is not None:
        words = [str(experiment), *(word for one in overrides for word in ("--set", one))]
        words += ["--retry-failed"] if retry_failed else []
        job = cluster_job(
            emit,
            workspace.experiment,
            words,
            workers=workers,
            machines=machines,
            devices=devices,
            storage=storage,
            image=image,
            claim=claim,
        )
        click.echo(job, nl=False)
        return
    result = run_sweep(
        workspace,
        workers=workers,
        devices=None if devices is None else devices_of(devices),
        storage=storage,
        retry_failed=retry_failed,
    )
    print_result(workspace, result, experiment)
    context.exit(result.exit_code)
