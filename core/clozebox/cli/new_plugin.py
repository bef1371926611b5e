"""`clozebox plugins new`: a working plugin to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from textwrap import indent

import click

from clozebox.cli.context import open_sandbox
from clozebox.errors import UserError
from clozebox.skeletons.plugin_files import KINDS, NewPlugin


@click.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), required=True, help="What it adds.")
@click.option("--single-file", is_flag=True, help="One file, NAME.py, in place of a package.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("."),
    help="Where to put it.  [default: here]",
)
def new(name: str, kind: str, single_file: bool, folder: Path) -> None:
    """Write a plugin that adds a component NAME, small but working, and say what to do next.

    A package clozebox-NAME with its test, or with --single-file one file for a sandbox of your own.
    """
    from clozebox.skeletons.problems import problems_of

    registry = open_sandbox().registry
    plugin = NewPlugin(name, kind, single_file, folder)
    if problems := list(problems_of(plugin, registry)):
        raise UserError("\n".join(problems))
    for file in plugin.write():
        click.echo(f"wrote {file}")
    _say_what_is_next(plugin)


def _say_what_is_next(plugin: NewPlugin) -> None:
    # With a slash or .py in it, so that -p takes it for a path.
    chosen = f"clozebox -p {shlex.quote(str(plugin.module))}"
    experiment = f"{plugin.name}.toml"
    click.echo("\nIt works as it is; your idea goes where it says so. Then:\n")
    click.secho(f"  {chosen} plugins check {plugin.name}{plugin.needed}", bold=True)
    click.secho(f"  {chosen} show {experiment}", bold=True)
    click.secho(f"  {chosen} train {experiment}", bold=True)
    if not plugin.single_file:
        click.echo("\n(once it is installed: the same without -p)")
    click.echo(f"\nwith a question for it in {experiment}, such as\n")
    click.echo(indent(plugin.experiment(), "  "))
