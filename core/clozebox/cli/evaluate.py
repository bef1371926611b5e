"""`clozebox evaluate`: a trained run and its yardsticks."""

from __future__ import annotations

import json
from pathlib import Path

import click

from clozebox.cli.context import open_sandbox


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(run: Path, as_json: bool) -> None:
    """Measure the newest checkpoint of RUN, a folder such as runs/mask_rate/token-15/seed-0."""
    from clozebox.training import RunDirectory

    directory = RunDirectory(run)
    directory.resolved()  # says so, before torch is loaded, when this is no run
    _, registry = open_sandbox()

    from clozebox.training.loop import evaluate as evaluate_all
    from clozebox.training.resume import load_trained
    from clozebox.training.setup import set_up

    def say(text: str) -> None:
        click.echo(text, err=True)

    training = set_up(directory, registry, say)
    step = load_trained(training, say)
    found = evaluate_all(training, [task.build() for task in training.arm.evaluations])
    if as_json:
        click.echo(json.dumps({"step": step, **found}))
        return
    click.echo(f"{run}, step {step}")
    for name, value in found.items():
        click.echo(f"  {name:<24} {value:.4f}")
