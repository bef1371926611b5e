"""`clozebox train`: one run, here and now."""

from __future__ import annotations

from pathlib import Path

import click

from clozebox.cli.chosen_arm import chosen_arm
from clozebox.cli.context import open_sandbox, set_option


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--arm", "arm_name", metavar="NAME", help="Which arm.  [default: the first]")
@click.option("--seed", type=click.IntRange(min=0), help="Which seed.  [default: the first]")
@set_option
@click.pass_context
def train(
    context: click.Context,
    experiment: Path,
    arm_name: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
) -> None:
    """Train one arm of EXPERIMENT with one seed; the same command resumes it.

    Ctrl-C saves and stops. `clozebox sweep` trains all arms and seeds.
    """
    from clozebox.config import load_experiment
    from clozebox.training import RunDirectory

    sandbox, registry = open_sandbox()
    asked = load_experiment(experiment, registry, overrides, sandbox)
    arm = chosen_arm(asked, arm_name)
    seed = asked.seeds[0] if seed is None else seed
    run = RunDirectory.create(
        RunDirectory.path_of(sandbox.runs, asked.name, arm.name, seed),
        experiment=asked,
        arm=arm,
        seed=seed,
        cache=sandbox.cache,
        plugins=sandbox.plugin_paths,
        disabled=sandbox.disable,
    )
    click.echo(f"{asked.name}: arm {arm.name}, seed {seed}, in {run.path}")

    from clozebox.training.console import Console
    from clozebox.training.run import run_training

    context.exit(run_training(run, registry, Console()))
