"""Where plugins come from: entry points of the group ``clozebox``, and local files and folders.

Nothing here imports a plugin; a `Candidate` does that when, and only when, it is asked to `load`.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from clozebox.errors import UserError
from clozebox.hookspecs import NAMESPACE

LOCAL_PREFIX = "clozebox_local_"


@dataclass(frozen=True)
class Candidate:
    """A plugin that was found and not yet imported."""

    name: str
    distribution: str
    version: str
    load: Callable[[], object]


def installed_candidates() -> list[Candidate]:
    """Every entry point of the group, in an order that no installation order changes."""
    found: dict[str, list[Candidate]] = {}
    for distribution in metadata.distributions():
        # Read as text first: one distribution with a malformed file must not hide all others.
        text = distribution.read_text("entry_points.txt") or ""
        if f"[{NAMESPACE}]" in text:
            found.setdefault(_normalised(distribution.name), _candidates_of(distribution))
    return sorted(
        (candidate for candidates in found.values() for candidate in candidates),
        key=lambda candidate: (candidate.name, candidate.distribution),
    )


def local_candidates(path: Path) -> list[Candidate]:
    """The plugin in a file or package; of a plain folder, one for each file or package in it."""
    path = path.resolve()
    if path.is_dir() and not (path / "__init__.py").exists():
        members = sorted(p for p in path.iterdir() if _is_plugin(p))
        return [_local(member) for member in members] or [_local(path)]
    return [_local(path)]


def cause_of(error: BaseException) -> str:
    """One line: the error, and the file and line that raised it."""
    text = " ".join(str(error).split())[:300]
    cause = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
    ]
    if isinstance(error, (UserError, SyntaxError)) or not frames:
        return text if isinstance(error, UserError) else cause
    return f"{cause} ({frames[-1].filename}:{frames[-1].lineno})"


def _normalised(name: str | None) -> str:
    return re.sub(r"[-_.]+", "-", name or "unknown").lower()


def _candidates_of(distribution: metadata.Distribution) -> list[Candidate]:
    name, version = distribution.name or "unknown", distribution.version or "unknown"
    try:
        entries = distribution.entry_points.select(group=NAMESPACE)
        return [Candidate(entry.name, name, version, entry.load) for entry in entries]
    except Exception as error:
        fault = UserError(f"its entry_points.txt cannot be read: {cause_of(error)}")
        return [Candidate(name, name, version, _raising(fault))]


def _raising(error: Exception) -> Callable[[], object]:
    def load() -> object:
        raise error

    return load


def _is_plugin(path: Path) -> bool:
    hidden = path.name.startswith(("_", "."))
    return not hidden and (path.suffix == ".py" or (path / "__init__.py").exists())


def _local(path: Path) -> Candidate:
    name = re.sub(r"\W", "_", path.stem)
    return Candidate(name, str(path), "local", lambda: _load_local(LOCAL_PREFIX + name, path))


def _load_local(module_name: str, path: Path) -> object:
    """Import a file or package under a name that is the same in every process.

    The name goes to ``sys.modules``, so that relative imports, worker processes and a second
    registry all see the same classes.
    """
    source = path / "__init__.py" if path.is_dir() else path
    if not source.is_file() or source.suffix != ".py":
        raise UserError(f"{path} is neither a .py file nor a folder that holds one")
    loaded = sys.modules.get(module_name)
    if loaded is not None and loaded.__file__ == str(source):
        return loaded
    for stale in _module_tree(module_name):
        del sys.modules[stale]
    spec = importlib.util.spec_from_file_location(module_name, source)
    if spec is None or spec.loader is None:
        raise UserError(f"{source} cannot be imported as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for broken in _module_tree(module_name):
            del sys.modules[broken]
        raise
    return module


def _module_tree(module_name: str) -> list[str]:
    """The module and its submodules, as far as they are imported."""
    return [n for n in sys.modules if n == module_name or n.startswith(f"{module_name}.")]
