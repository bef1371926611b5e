"""`clozebox plugins`: which plugins are there; `new` and `check` have files of their own."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clozebox.cli.check import check
from clozebox.cli.context import open_sandbox, plugin_commands
from clozebox.cli.new_plugin import new
from clozebox.cli.table import print_table

if TYPE_CHECKING:
    from clozebox.registry import PluginInfo


@click.group(short_help="List plugins, write a new one, or check one.")
def plugins() -> None:
    """Plugins add sizes, embeddings, encoders, masking, objectives, corpora, tasks and reporters.

    An installed package is a plugin by an entry point of the group `clozebox`; a local file or
    folder by `-p` or by `[plugins] paths` in sandbox.toml.
    """


plugins.add_command(check)
plugins.add_command(new)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for programs.")
def list_(as_json: bool) -> None:
    """List every plugin: its state, distribution, version, and what it adds or why it is broken."""
    from clozebox.cli.group import COMMANDS

    registry = open_sandbox(warn=False).registry
    plugin_commands(registry, COMMANDS)  # so that a clash with a command of core is known
    if as_json:
        click.echo(json.dumps([asdict(info) for info in registry.plugins], indent=2))
        return
    rows = [
        (info.name, info.state, info.distribution, info.version, _remark(info))
        for info in registry.plugins
    ]
    print_table(("plugin", "state", "distribution", "version", "adds"), rows)


def _remark(info: PluginInfo) -> str:
    adds = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in info.adds.items())
    return "; ".join(filter(None, (info.cause, adds, *(f"warning: {w}" for w in info.warnings))))
