"""What commands share: the sandbox around the working directory, its plugins, common options."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
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
    def given(cls, ctx: click.Context | None = None) -> PluginOptions:
        """Those of the command line that runs now."""
        ctx = ctx or click.get_current_context(silent=True)
        return (ctx.find_object(cls) if ctx else None) or cls()

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

    def disabled(self, names: Iterable[str]) -> tuple[str, ...]:
        """``names`` and what is to be disabled too, less what is to be enabled."""
        kept = [name for name in names if name not in self.enable]
        return tuple(dict.fromkeys((*kept, *self.disable)))


def open_sandbox(ctx: click.Context | None = None, warn: bool = True) -> Opened:
    """The sandbox around the working directory and a registry of its plugins.

    The sandbox's ``disable`` and ``plugin_paths`` hold what `-p` said too, for child processes.
    Broken plugins are named on stderr if ``warn``. Raises `UserError` for a bad `sandbox.toml`.
    """
    from clozebox.config import find_sandbox

    options = PluginOptions.given(ctx)
    sandbox = find_sandbox()
    sandbox = replace(
        sandbox,
        disable=options.disabled(sandbox.disable),
        plugin_paths=tuple(dict.fromkeys((*sandbox.plugin_paths, *options.paths))),
    )
    registry = open_registry(sandbox.disable, sandbox.plugin_paths, options.enable, warn)
    return Opened(sandbox, registry)


def open_registry(
    disable: Sequence[str], paths: Sequence[Path], enable: Sequence[str], warn: bool = True
) -> Registry:
    """The installed plugins and those at ``paths``; raises `UserError` for an unknown name."""
    from clozebox.registry import load_registry

    registry = load_registry(disable, paths)
    names = [info.name for info in registry.plugins]
    for name in enable:
        if name not in names:
            hint = did_you_mean(name, names) or "; a local one is given as ./folder or file.py"
            raise UserError(f"-p {name}: no plugin is named '{name}'{hint}")
    for info in registry.plugins if warn else ():
        if info.state == "broken":
            click.echo(f"warning: plugin {info} is broken: {info.cause}", err=True)
    return registry


def plugin_commands(registry: Registry, taken: Container[str]) -> dict[str, click.Command]:
    """The commands that plugins add and whose names are not ``taken``."""
    group = click.Group()
    registry.commands(group, taken)
    return dict(group.commands)
