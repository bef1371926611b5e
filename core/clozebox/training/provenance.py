"""Where a run came from: code, plugins, versions, hardware, numerics."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clozebox.training.budget import StepCost
from clozebox.training.device import describe
from clozebox.training.files import write_json
from clozebox.training.setup import Training
from clozebox.training.switches import switches_of

if TYPE_CHECKING:
    from clozebox.registry import Registry

LIBRARIES = ("clozebox", "torch", "numpy", "optuna", "tokenizers", "safetensors", "pydantic")


def record_session(
    training: Training, registry: Registry, cost: StepCost, say: Callable[[str], None]
) -> None:
    """Add this start of the run to provenance.json, and say what has changed since the last one."""
    path = training.run.path / "provenance.json"
    sessions = json.loads(path.read_text())["sessions"] if path.exists() else []
    session = _session(training, registry)
    if sessions:
        changed = _changed(sessions[-1], session)
        if changed:
            say(f"changed since the run was last started: {', '.join(changed)}")
    write_json(
        path,
        {
            "parameters": training.model.num_parameters(),
            "flops_per_step": cost.flops,
            "tokens_per_step": cost.tokens,
            "sessions": [*sessions, session],
        },
    )


def _session(training: Training, registry: Registry) -> dict[str, Any]:
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
        "numerics": {
            **describe(training.numerics),
            **switches_of(training),
            "ranks": training.world.size,
        },
        "tokens": training.store.fingerprint,
    }


def _changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What may keep the run from being equal to the bit from here on: ``threads 8 -> 4``."""
    numerics = [
        f"{key} {before['numerics'].get(key)} -> {value}"
        for key, value in now["numerics"].items()
        if before["numerics"].get(key) != value
    ]
    others = [key for key in ("git", "libraries", "plugins") if before[key] != now[key]]
    return numerics + others


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
