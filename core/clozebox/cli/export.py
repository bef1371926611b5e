"""`clozebox export`: a trained run as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

import click

from clozebox.cli.context import open_sandbox


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def export(run: Path, folder: Path) -> None:
    """Write the newest checkpoint of RUN as the Hugging Face folder FOLDER.

    clozebox export runs/mask_rate/token-15/seed-0 exported
    """
    from clozebox.training import RunDirectory

    directory = RunDirectory(run)
    directory.resolved()  # says so, before torch is loaded, when this is no run
    _, registry = open_sandbox()

    from clozebox.training.export import export_run

    exported = export_run(directory, folder, registry, lambda words: click.echo(words, err=True))
    click.echo(f"{folder}: {exported.architecture}")
    if exported.left_out:
        click.echo(f"left out, having no place there: {', '.join(exported.left_out)}")
