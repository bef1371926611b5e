"""`clozebox export`: a trained run as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

import click

from clozebox.cli.trained_run import open_run


@click.command()
@click.argument("run")
@click.argument("folder", type=click.Path(path_type=Path))
def export(run: str, folder: Path) -> None:
    """Write the newest checkpoint of RUN as the Hugging Face folder FOLDER.

    clozebox export mask_rate/token-15/seed-0 exported
    """
    directory, registry = open_run(run)  # before torch is loaded, which takes its time

    from clozebox.training.export import export_run

    exported = export_run(directory, folder, registry, lambda words: click.echo(words, err=True))
    click.echo(f"{folder}: {exported.architecture}")
    if exported.left_out:
        click.echo(f"left out, having no place there: {', '.join(exported.left_out)}")
