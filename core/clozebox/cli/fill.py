"""`clozebox fill`: what a trained run would write where a text says [MASK]."""

from __future__ import annotations

import click

from clozebox.cli.trained_run import open_run


@click.command()
@click.argument("run")
@click.argument("text")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True)
def fill(run: str, text: str, top: int) -> None:
    """Fill in the [MASK]s of TEXT with the newest checkpoint of RUN.

    clozebox fill mask_rate/token-15/seed-0 "the [MASK] of the united states"
    """
    directory, registry = open_run(run)  # before torch is loaded, which takes its time

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
