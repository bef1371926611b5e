"""The group `clozebox`: imports a command's module only when that command is run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from clozebox.cli import command_cache
from clozebox.cli.context import PluginOptions, open_sandbox, plugin_commands
from clozebox.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from clozebox.registry import PluginInfo

COMMANDS = MappingProxyType(
    {
        "show": ("show", "Show one training example as every objective of an arm sees it."),
        "train": ("train", "Train one arm of an experiment with one seed."),
        "sweep": ("sweep", "Train every arm and seed of an experiment, or search its space."),
        "compare": ("compare", "Tell which arm is better, and whether the difference is real."),
        "evaluate": ("evaluate", "Measure a trained run with the yardsticks."),
        "fill": ("fill", "Fill in the [MASK]s of a text."),
        "embed": ("embed", "Contextual vectors of texts, and a word compared across them."),
        "finetune": ("finetune", "Fine-tune a run on labelled examples, or probe it."),
        "export": ("export", "Write a run as a Hugging Face folder."),
        "import": ("import_folder", "Make a run of a Hugging Face BERT folder."),
        "prepare": ("prepare", "Train the tokenizer and tokenize the corpus of an experiment."),
        "plugins": ("plugins", "List plugins, write a new one, or check one."),
        "config": ("config", "Check, show and compare experiments."),
        "runs": ("runs", "List runs and show one."),
        "tensorboard": ("tensorboard", "Open TensorBoard on the runs."),
        "doctor": ("doctor", "Check this machine and installation."),
    }
)
"""Command to its module in `clozebox.cli`, where an object of the module's name is the command,
and its help, told here so that `--help` imports no command."""


class LazyGroup(click.Group):
    """Core's commands by name, and those that plugins add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *self._plugin_help(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _ = COMMANDS[cmd_name]
            command: click.Command = getattr(import_module(f"clozebox.cli.{module}"), module)
            return command
        return plugin_commands(open_sandbox(ctx).registry, COMMANDS).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            # click suggests only from the commands that it holds itself, and these are lazy.
            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(error.message.rstrip(".") + (hint or "."), ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        core = [(name, help_text) for name, (_, help_text) in COMMANDS.items()]
        added = sorted(self._plugin_help(ctx).items())
        for title, rows in (("Commands", core), ("Commands of plugins", added)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        broken: Sequence[PluginInfo] = ctx.meta.get("clozebox.broken", ())
        if broken:
            with formatter.section("Broken plugins (see `clozebox plugins list`)"):
                formatter.write_dl([(str(info), info.cause or "") for info in broken])
        if fault := ctx.meta.get("clozebox.fault"):
            with formatter.section("Plugins cannot be listed"):
                formatter.write_text(fault)

    def _plugin_help(self, ctx: click.Context) -> dict[str, str]:
        """Plugins' commands with their help, from the cache when nothing has changed."""
        uses_cache = ctx.obj is None
        cached = command_cache.read() if uses_cache else None
        if cached is not None:
            return cached
        try:
            opened = open_sandbox(ctx, warn=False)
        except UserError as error:
            ctx.meta["clozebox.fault"] = str(error)
            return {}
        commands = plugin_commands(opened.registry, COMMANDS)
        found = {name: command.get_short_help_str() for name, command in commands.items()}
        broken = [info for info in opened.registry.plugins if info.state == "broken"]
        ctx.meta["clozebox.broken"] = broken
        if uses_cache and not broken:
            command_cache.write(found, opened.registry, opened.sandbox.plugin_paths)
        return found


def _choose_plugins(
    ctx: click.Context, _: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    if values:
        ctx.obj = PluginOptions.parse(values)
    return values


@click.group(cls=LazyGroup)
@click.option(
    "-p",
    "--plugin",
    "plugins",
    multiple=True,
    is_eager=True,
    expose_value=False,
    callback=_choose_plugins,
    metavar="NAME|PATH|no:NAME",
    help="Load a local plugin (./folder or file.py), or switch an installed one on or off.",
)
@click.version_option(package_name="clozebox")
def cli() -> None:
    """Which pretraining choice is better, at equal cost, and is the difference real?"""
