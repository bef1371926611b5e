"""`clozebox evaluate`: a trained run and its yardsticks."""

from __future__ import annotations

import json

import click

from clozebox.cli.trained_run import open_run


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(run: str, as_json: bool) -> None:
    """Measure the newest checkpoint of RUN: a folder, or such as mask_rate/token-15/seed-0."""
    directory, registry = open_run(run)  # before torch is loaded, which takes its time

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
    click.echo(f"{directory.path}, step {step}")
    for name, value in found.items():
        click.echo(f"  {name:<24} {value:.4f}")
