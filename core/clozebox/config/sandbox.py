"""`sandbox.toml`: what every run in a checkout shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from clozebox.components import Settings
from clozebox.config.layers import KeyPath
from clozebox.config.locate import read_toml
from clozebox.config.problems import Problems

FILE_NAME = "sandbox.toml"


class PathSettings(Settings):
    """`[paths]`, relative to the folder of the file."""

    runs: str = Field(default="runs", min_length=1)
    cache: str = Field(default=".cache", min_length=1)


class PluginSettings(Settings):
    """`[plugins]`: installed ones to leave out, and local files or folders to load."""

    disable: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class SandboxSettings(Settings):
    """The whole file; `[defaults]` is checked with the experiment that it is the ground of."""

    paths: PathSettings = PathSettings()
    plugins: PluginSettings = PluginSettings()
    defaults: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Sandbox:
    """Where runs and prepared data go, which plugins are used, and what experiments start from."""

    root: Path
    runs: Path
    cache: Path
    disable: tuple[str, ...] = ()
    plugin_paths: tuple[Path, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    origins: Mapping[KeyPath, str] = field(default_factory=dict)
    """``file:line`` of every key path of ``defaults``."""


def sandbox_file(start: Path | None = None) -> Path | None:
    """The nearest `sandbox.toml` in ``start`` (the working directory) or a folder above it."""
    start = (start or Path.cwd()).resolve()
    candidates = (folder / FILE_NAME for folder in (start, *start.parents))
    return next((path for path in candidates if path.is_file()), None)


def find_sandbox(start: Path | None = None) -> Sandbox:
    """The sandbox around ``start``; without a `sandbox.toml`, one of defaults in ``start``.

    Raises `ConfigError` with all that is wrong with the file.
    """
    path = sandbox_file(start)
    if path is None:
        root = (start or Path.cwd()).resolve()
        return Sandbox(root, root / PathSettings().runs, root / PathSettings().cache)
    file = read_toml(path)
    problems = Problems()
    settings = problems.settled(problems.settings(SandboxSettings, file.table(), ()))
    root = path.parent
    has_defaults = "defaults" in file.values
    return Sandbox(
        root=root,
        runs=root / settings.paths.runs,
        cache=root / settings.paths.cache,
        disable=settings.plugins.disable,
        plugin_paths=tuple(root / plugin for plugin in settings.plugins.paths),
        defaults=file.values.get("defaults", {}),
        origins=file.table(("defaults",)).origins if has_defaults else {},
    )
