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
@click.option(
    "--ranks",
    type=click.IntRange(min=1),
    help="Share each step among so many processes, on a GPU each; --set speed.ranks=N for short. "
    "The result is the same.",
)
@set_option
@click.pass_context
def train(
    context: click.Context,
    experiment: Path,
    arm_name: str | None,
    seed: int | None,
    ranks: int | None,
    overrides: tuple[str, ...],
) -> None:
    """Train one arm of EXPERIMENT with one seed; the same command resumes it.

    Ctrl-C saves and stops. `clozebox sweep` trains all arms and seeds.
    """
    from clozebox.config import load_experiment
    from clozebox.training import RunDirectory
    from clozebox.training.launch import is_main, is_rank, launch

    sandbox, registry = open_sandbox()
    if ranks is not None:
        overrides = (*overrides, f"speed.ranks={ranks}")
    asked = load_experiment(experiment, registry, overrides, sandbox)
    arm = chosen_arm(asked, arm_name)
    seed = asked.seeds[0] if seed is None else seed
    run = RunDirectory(RunDirectory.path_of(sandbox.runs, asked.name, arm.name, seed))
    if is_main():  # under torchrun this command runs once for each rank
        RunDirectory.create(
            run.path,
            experiment=asked,
            arm=arm,
            seed=seed,
            cache=sandbox.cache,
            plugins=sandbox.plugin_paths,
            disabled=sandbox.disable,
        )
        click.echo(f"{asked.name}: arm {arm.name}, seed {seed}, in {run.path}")
    if arm.speed.ranks > 1 and not is_rank():
        context.exit(launch(run, arm.speed.ranks))

    from clozebox.training.console import Console
    from clozebox.training.run import run_training

    context.exit(run_training(run, registry, Console()))
