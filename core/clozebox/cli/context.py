"""What commands share: the sandbox around the working directory, its plugins, common options."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from clozebox.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from clozebox.config import Sandbox
    from clozebox.registry import Registry

set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of every arm, such as optim.lr=1e-3; may be repeated.",
)


class Opened(NamedTuple):
    """The sandbox, with the `-p` options worked in, and the plugins of it."""

    sandbox: Sandbox
    registry: Registry


@dataclass(frozen=True)
class PluginOptions:
    """What `-p` said."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()

    @classmethod
    def parse(cls, values: Sequence[str]) -> PluginOptions:
        """Sort values into names, ``no:`` names and paths (``.py``, or with a slash)."""
        disable = tuple(v.removeprefix("no:") for v in values if v.startswith("no:"))
        others = [v for v in values if not v.startswith("no:")]
        paths = tuple(Path(v).absolute() for v in others if v.endswith(".py") or os.sep in v)
        for path in paths:
            if not path.exists():
                raise UserError(f"-p {path}: there is no such file or folder")
        enable = tuple(v for v in others if not v.endswith(".py") and os.sep not in v)
        return cls(enable, disable, paths)


def open_sandbox(ctx: click.Context | None = None, warn: bool = True) -> Opened:
    """The sandbox around the working directory and a registry of its plugins.

    The sandbox's ``disable`` and ``plugin_paths`` hold what `-p` said too, for child processes.
    Broken plugins are named on stderr if ``warn``. Raises `UserError` for a bad `sandbox.toml`.
    """
    from clozebox.config import find_sandbox
    from clozebox.registry import load_registry

    ctx = ctx or click.get_current_context(silent=True)
    options = (ctx.find_object(PluginOptions) if ctx else None) or PluginOptions()
    sandbox = find_sandbox()
    kept = [name for name in sandbox.disable if name not in options.enable]
    sandbox = replace(
        sandbox,
        disable=tuple(dict.fromkeys((*kept, *options.disable))),
        plugin_paths=tuple(dict.fromkeys((*sandbox.plugin_paths, *options.paths))),
    )
    registry = load_registry(sandbox.disable, sandbox.plugin_paths)
    names = [info.name for info in registry.plugins]
    for name in options.enable:
        if name not in names:
            hint = did_you_mean(name, names) or "; a local one is given as ./folder or file.py"
            raise UserError(f"-p {name}: no plugin is named '{name}'{hint}")
    for info in registry.plugins if warn else ():
        if info.state == "broken":
            click.echo(f"warning: plugin {info} is broken: {info.cause}", err=True)
    return Opened(sandbox, registry)


def plugin_commands(registry: Registry, taken: Container[str]) -> dict[str, click.Command]:
    """The commands that plugins add and whose names are not ``taken``."""
    group = click.Group()
    registry.commands(group, taken)
    return dict(group.commands)
