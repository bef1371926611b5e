"""`clozebox fill`: what a trained run would write where a text says [MASK]."""

from __future__ import annotations

from pathlib import Path

import click

from clozebox.cli.context import open_sandbox


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True)
def fill(run: Path, text: str, top: int) -> None:
    """Fill in the [MASK]s of TEXT with the newest checkpoint of RUN.

    clozebox fill runs/mask_rate/token-15/seed-0 "the [MASK] of the united states"
    """
    from clozebox.training import RunDirectory

    directory = RunDirectory(run)
    directory.resolved()  # says so, before torch is loaded, when this is no run
    _, registry = open_sandbox()

    from clozebox.evaluation.fill import fill as fill_in
    from clozebox.training.resume import load_trained
    from clozebox.training.setup import set_up

    def say(words: str) -> None:
        click.echo(words, err=True)

    training = set_up(directory, registry, say)
    load_trained(training, say)
    device = training.numerics.device
    for number, guesses in enumerate(fill_in(training.model, training.store, text, device, top), 1):
        shown = "  ".join(f"{guess.token} {guess.probability:.1%}" for guess in guesses)
        click.echo(f"[MASK] {number}: {shown}")
