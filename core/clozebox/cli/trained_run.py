"""A run by whatever a person types for it, and the plugins that it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clozebox.cli.context import PluginOptions, open_registry
from clozebox.cli.experiment_folder import runs_folder
from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.registry import Registry
    from clozebox.training import RunDirectory


class TrainedRun(NamedTuple):
    """A run, and a registry in which its settings mean what they meant when it was trained."""

    directory: RunDirectory
    registry: Registry


def find_run(given: str) -> RunDirectory:
    """The run in the folder ``given``, or ``experiment/arm/seed-0`` in the sandbox's runs.

    Raises:
        UserError: there is no run in either place.
    """
    from clozebox.training import RunDirectory

    if _is_run(path := Path(given)) or _is_run(path := runs_folder() / given):
        return RunDirectory(path)
    raise UserError(f"{given} is not a run: neither it nor {path} holds a resolved.json")


def open_run(given: str) -> TrainedRun:
    """Find a run and load its own plugins, changed by what `-p` says.

    Raises:
        UserError: there is no such run, or a local plugin of it has gone.
    """
    directory = find_run(given)
    resolved = directory.resolved()
    options = PluginOptions.given()
    paths = _plugin_paths([Path(plugin) for plugin in resolved["plugins"]], options.paths)
    for path in paths:
        if not path.exists():
            raise UserError(
                f"{directory.path} was trained with the plugin {path}, which is no longer there; "
                f"give the path that it has now with -p"
            )
    disable = options.disabled(resolved["disabled"])
    return TrainedRun(directory, open_registry(disable, paths, options.enable))


def _plugin_paths(recorded: Sequence[Path], given: Sequence[Path]) -> list[Path]:
    """A plugin given by `-p` stands in for the recorded one of its name, which may have moved."""
    names = {path.stem for path in given}
    return [*(path for path in recorded if path.stem not in names), *dict.fromkeys(given)]


def _is_run(path: Path) -> bool:
    return (path / "resolved.json").is_file()
