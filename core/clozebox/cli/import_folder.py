"""`clozebox import`: a published BERT as a run."""

from __future__ import annotations

from pathlib import Path

import click

from clozebox.cli.context import open_sandbox, set_option


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("name")
@set_option
def import_folder(folder: Path, name: str, overrides: tuple[str, ...]) -> None:
    """Make the run NAME/imported/seed-0 of the Hugging Face BERT folder FOLDER.

    clozebox import all-MiniLM-L6-v2 minilm --set corpus=sotu

    `finetune`, `evaluate`, `fill` and `export` take it like any other run. The corpus is what it is
    evaluated on; a head that the folder lacks stays fresh, and is named.
    """
    from clozebox.config.experiment import NAME
    from clozebox.errors import UserError

    if not NAME.fullmatch(name):
        raise UserError(f"NAME is letters, digits, '.', '_' and '-', as a file's (got {name!r})")
    sandbox, registry = open_sandbox()

    from clozebox.training.import_run import import_run

    def say(words: str) -> None:
        click.echo(words, err=True)

    run = import_run(folder, name, registry, sandbox, overrides, say)
    click.echo(f"{run.path}: `clozebox finetune {name}/{run.path.parent.name}/seed-0 TASK`")
