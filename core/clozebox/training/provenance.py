"""Where a run came from: code, plugins, versions, hardware, numerics."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clozebox.training.device import Numerics, describe

if TYPE_CHECKING:
    from clozebox.registry import Registry

LIBRARIES = ("clozebox", "torch", "numpy", "optuna", "tokenizers", "safetensors", "pydantic")


def provenance(numerics: Numerics, registry: Registry, store: str) -> dict[str, Any]:
    """Facts for provenance.json; ``store`` is the fingerprint of the tokens that are read."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "git": _git(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "plugins": {
            plugin.name: {"version": plugin.version, "sha256": _source_hash(plugin.module)}
            for plugin in registry.plugins
            if plugin.module is not None
        },
        "numerics": describe(numerics),
        "tokens": store,
    }


def numerics_changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What keeps a resumed run from being equal to the bit, as ``threads 8 -> 4``."""
    return [f"{key} {before.get(key)} -> {now[key]}" for key in now if before.get(key) != now[key]]


def _git() -> dict[str, Any] | None:
    here = Path(__file__).parent

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None  # installed from a wheel, or no git here


def _source_hash(module: str) -> str | None:
    """SHA-256 over a plugin's Python files, in name order."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
