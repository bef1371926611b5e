"""Remembers which commands plugins add, so that `--help` need not load the plugins.

An entry holds a stamp of everything it depends on: the folders of ``sys.path``, `sandbox.toml` and
the files of the plugins' modules. One stamp that differs, and the plugins are loaded again.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clozebox.registry import Registry

Stamps = dict[str, list[int] | None]


def read() -> dict[str, str] | None:
    """Command to help, or None when there is no entry or something has changed since."""
    try:
        entry = json.loads(_file().read_bytes())
        commands = entry["commands"]
        if entry["ground"] != _ground() or entry["files"] != _stamps(entry["files"]):
            return None
        return {str(name): str(text) for name, text in commands.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(commands: dict[str, str], registry: Registry, plugin_paths: Sequence[Path]) -> None:
    """Remember the commands; a folder that cannot be written to is no error."""
    files = [*map(str, plugin_paths), *_module_files(registry)]
    entry: dict[str, Any] = {"commands": commands, "ground": _ground(), "files": _stamps(files)}
    target = _file()
    temporary = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(entry))
        temporary.replace(target)
    except OSError:
        return


def _file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = zlib.crc32("\n".join([os.getcwd(), *sys.path]).encode("utf-8", "surrogateescape"))
    return Path(base, "clozebox", f"commands-{place:08x}.json")


def _ground() -> dict[str, Any]:
    """What decides which plugins are found."""
    folders = [os.path.abspath(folder) for folder in sys.path]
    here = os.getcwd()
    above = [here, *map(str, Path(here).parents)]
    sandboxes = _stamps(os.path.join(folder, "sandbox.toml") for folder in above)
    return {"python": sys.version, "path": folders, "stamps": _stamps(folders) | sandboxes}


def _stamps(paths: Iterable[str]) -> Stamps:
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size]


def _module_files(registry: Registry) -> list[str]:
    """The files of Clozebox and of the plugins, as far as they are imported."""
    plugins = {info.module.partition(".")[0] for info in registry.plugins if info.module}
    files = (
        getattr(module, "__file__", None)
        for name, module in tuple(sys.modules.items())
        if name.partition(".")[0] in {"clozebox", *plugins}
    )
    return sorted({file for file in files if file})
