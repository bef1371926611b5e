"""Finds plugins and keeps what they add, by kind and name.

One broken plugin never stops anything: it is listed with its distribution, version and cause, and
is named as the likely culprit when something asks for a component that nobody provides.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import click

from clozebox.errors import UserError, did_you_mean
from clozebox.plugin_additions import (
    COMMAND,
    KINDS,
    Additions,
    additions_of,
    warnings_about,
)
from clozebox.plugin_loading import Candidate, cause_of, installed_candidates, local_candidates

__all__ = [
    "KINDS",
    "PluginInfo",
    "Registry",
    "UnknownComponent",
    "load_registry",
    "registry_of",
]


class UnknownComponent(UserError):  # noqa: N818 (it is caught, and reads, as a state of affairs)
    """Nobody provides the component that was asked for."""


@dataclass(frozen=True)
class PluginInfo:
    """A plugin that was found, and what became of it."""

    name: str
    distribution: str
    """The installed distribution, or the path of a local plugin."""
    version: str
    state: Literal["active", "disabled", "broken"] = "active"
    cause: str | None = None
    """Why it is broken, in one line."""
    adds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind to names, ``command`` included."""
    warnings: tuple[str, ...] = ()
    module: str | None = None
    """The imported module, for provenance."""

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


class Registry:
    """What the active plugins add, by kind and name."""

    def __init__(self, loaded: Sequence[tuple[PluginInfo, Additions]]):
        self.plugins: tuple[PluginInfo, ...] = tuple(info for info, _ in loaded)
        self._providers: dict[str, dict[str, list[tuple[PluginInfo, Any]]]] = {
            kind: {} for kind in (*KINDS, COMMAND)
        }
        for info, additions in loaded:
            for kind, things in additions.items():
                for name, thing in things.items():
                    self._providers[kind].setdefault(name, []).append((info, thing))
        for kind, providers in self._providers.items():
            for name, rivals in providers.items():
                if len(rivals) > 1:
                    self._warn({info.name for info, _ in rivals}, _clash(kind, name, rivals))

    def names(self, kind: str) -> tuple[str, ...]:
        """What can be asked for, in the order in which plugins added it."""
        return tuple(self._providers[kind])

    def get(self, kind: str, name: str) -> Any:
        """The one component of this kind and name.

        Raises `UnknownComponent` when nobody provides it and `UserError` when several do.
        """
        rivals = self._providers[kind].get(name, [])
        if len(rivals) > 1:
            raise UserError(_clash(kind, name, rivals))
        if not rivals:
            raise UnknownComponent(self._unknown(kind, name))
        return rivals[0][1]

    def commands(self, cli: click.Group, taken: Container[str] = ()) -> None:
        """Add the plugins' commands to ``cli``; one that it has, or that is ``taken``, stays.

        The plugin that wanted such a name gets a warning.
        """
        for name, rivals in self._providers[COMMAND].items():
            if name in taken or name in cli.commands:
                clash = f"command '{name}' already belongs to clozebox and is not replaced"
                self._warn({info.name for info, _ in rivals}, clash)
            elif len(rivals) == 1:
                cli.add_command(rivals[0][1], name)

    def _unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        message = f"no {kind} is named '{name}'{did_you_mean(name, known)}"
        message += f" (installed: {', '.join(known) or 'none'})"
        for info in self.plugins:
            if info.state == "broken":
                message += f"; plugin {info} might have provided it but is broken: {info.cause}"
            elif info.state == "disabled":
                message += f"; plugin {info} might have provided it but is disabled"
        return message

    def _warn(self, names: set[str], warning: str) -> None:
        self.plugins = tuple(
            replace(info, warnings=(*info.warnings, warning))
            if info.name in names and warning not in info.warnings
            else info
            for info in self.plugins
        )


def load_registry(
    disable: Sequence[str] = (), paths: Sequence[Path] = (), strict: bool = False
) -> Registry:
    """Load every installed plugin and those at ``paths``; what is in ``disable`` is not imported.

    Raises `UserError` when ``disable`` names no plugin and, if ``strict``, when one is broken.
    """
    candidates = installed_candidates()
    for path in paths:
        candidates += local_candidates(path)
    names = [candidate.name for candidate in candidates]
    for name in disable:
        if name not in names:
            known = ", ".join(names) or "none"
            raise UserError(
                f"no plugin is named '{name}', so it cannot be disabled"
                f"{did_you_mean(name, names)} (plugins: {known})"
            )
    return _load(candidates, frozenset(disable), strict)


def registry_of(*modules: Any) -> Registry:
    """A registry of exactly these modules (or classes of static hooks), for tests."""
    return _load(
        [
            Candidate(module.__name__, "in memory", "", lambda module=module: module)  # type: ignore[misc]
            for module in modules
        ],
        frozenset(),
        strict=False,
    )


def _load(candidates: Iterable[Candidate], disable: frozenset[str], strict: bool) -> Registry:
    loaded: dict[str, tuple[PluginInfo, Additions]] = {}
    refused: list[tuple[PluginInfo, Additions]] = []
    for candidate in candidates:
        info = PluginInfo(candidate.name, candidate.distribution, candidate.version)
        if candidate.name in loaded:
            cause = f"the name is already taken by plugin {loaded[candidate.name][0]}"
            refused.append((replace(info, state="broken", cause=cause), {}))
        elif candidate.name in disable:
            loaded[candidate.name] = (replace(info, state="disabled"), {})
        else:
            loaded[candidate.name] = _load_one(candidate, info)
    outcome = [*loaded.values(), *refused]
    for info, _ in outcome:
        if strict and info.state == "broken":
            raise UserError(f"plugin {info} is broken: {info.cause}")
    return Registry(outcome)


def _load_one(candidate: Candidate, info: PluginInfo) -> tuple[PluginInfo, Additions]:
    try:
        # What a plugin prints while it loads must not end up in the output of `--json`.
        with contextlib.redirect_stdout(sys.stderr):
            plugin = candidate.load()
            additions = additions_of(plugin)
            warnings = warnings_about(plugin)
    except (Exception, SystemExit) as error:
        return replace(info, state="broken", cause=cause_of(error)), {}
    adds = {kind: tuple(things) for kind, things in additions.items() if things}
    module = getattr(plugin, "__module__", None) or getattr(plugin, "__name__", None)
    return replace(info, adds=adds, warnings=warnings, module=module), additions


def _clash(kind: str, name: str, rivals: Sequence[tuple[PluginInfo, Any]]) -> str:
    plugins = " and ".join(str(info) for info, _ in rivals)
    return f"{kind} '{name}' is provided by {plugins}: disable one of them ([plugins] disable)"
