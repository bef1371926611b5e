"""A run on disk: what was asked, what came of it, and how far it got."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clozebox.errors import UserError
from clozebox.training.files import write_atomically, write_json

if TYPE_CHECKING:
    from clozebox.config.settings import Arm, Experiment


class RunDirectory:
    """``runs/<experiment>/<arm>/seed-<n>/``: all that sweeps and reports know of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def path_of(runs: Path, experiment: str, arm: str, seed: int) -> Path:
        return runs / experiment / arm / f"seed-{seed}"

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        experiment: Experiment,
        arm: Arm,
        seed: int,
        cache: Path,
        plugins: Sequence[Path] = (),
        disabled: Sequence[str] = (),
        trial: int | None = None,
    ) -> RunDirectory:
        """Write what the run is to do. A folder that holds the same run already is kept, and takes
        over what cannot change its result: speed, reporters, and how the experiment sees it.

        Raises:
            UserError: the folder holds a run with other settings, and it has begun.
        """
        from clozebox.config import fingerprint, settings_of

        run, names = cls(path), [a.name for a in experiment.arms]
        wanted: dict[str, Any] = {
            "experiment": experiment.name,
            "question": experiment.question,
            "metric": experiment.sweep.metric,
            "direction": experiment.sweep.direction,
            "arm": arm.name,
            "arm_index": names.index(arm.name) if arm.name in names else len(names),
            "seed": seed,
            "trial": trial,
            "fingerprint": fingerprint(arm),
            "settings": settings_of(arm),
            "examples": arm.examples,
            "plugins": [str(plugin.resolve()) for plugin in plugins],
            "disabled": list(disabled),
            "cache": str(cache.resolve()),
        }
        held = run.resolved() if (path / "resolved.json").exists() else None
        other = held is not None and held["fingerprint"] != wanted["fingerprint"]
        # A run that never made a step, such as one whose corpus was not found, has nothing to lose.
        if held is not None and other and run.has_begun():
            raise UserError(_other_settings(path, held["settings"], wanted["settings"]))
        if held is not None and (run.status() or {}).get("state") == "done":
            wanted["settings"] = held["settings"]  # what it ran with, its speed included
        if wanted != held:
            path.mkdir(parents=True, exist_ok=True)
            write_atomically(path / "config.toml", experiment.given.encode())
            write_json(path / "resolved.json", wanted)
        return run

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def resolved(self) -> dict[str, Any]:
        """Experiment, arm, seed, fingerprint and the full settings.

        Raises:
            UserError: there is no run here.
        """
        try:
            return dict(json.loads((self.path / "resolved.json").read_text()))
        except FileNotFoundError:
            raise UserError(f"{self.path} is not a run: it holds no resolved.json") from None

    def has_begun(self) -> bool:
        """Whether there is anything to lose: a metric or a checkpoint."""
        return bool(self.metrics()) or any(self.checkpoints.glob("step-*"))

    def status(self) -> dict[str, Any] | None:
        """How far the run got, or None before it first started."""
        try:
            return dict(json.loads((self.path / "status.json").read_text()))
        except FileNotFoundError:
            return None

    def write_status(self, state: str, **facts: Any) -> None:
        """Replace status.json; what is not given anew is kept from the last one."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status: dict[str, Any] = {"started": now, "step": 0, "steps": None, "result": None}
        status |= self.status() or {}
        status |= {"reason": None, "pid": os.getpid(), "host": socket.gethostname()}
        write_json(self.path / "status.json", status | facts | {"state": state, "updated": now})

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that a crash tore is left out."""
        if not self.metrics_path.exists():
            return []
        lines = self.metrics_path.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]


class Onlooker(RunDirectory):
    """A run as those of its ranks see it that do not write."""

    def write_status(self, state: str, **facts: Any) -> None: ...


def all_runs(folder: Path) -> list[RunDirectory]:
    """Every run below ``folder``, by experiment, arm, trial and seed."""
    found = [RunDirectory(file.parent) for file in folder.glob("**/resolved.json")]

    def place(run: RunDirectory) -> tuple[str, int, str, int, int]:
        asked = run.resolved()
        trial = asked["trial"] or 0
        return asked["experiment"], asked["arm_index"], asked["arm"], trial, asked["seed"]

    return sorted(found, key=place)


def _other_settings(path: Path, held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    differs = "\n".join(
        f"  {key}: {old!r} there, {new!r} now" for key, old, new in _differences(held, wanted)
    )
    return (
        f"{path} holds a run with other settings:\n{differs}\n"
        "move that folder away, or name the arm or the experiment differently"
    )


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """Leaves that differ, as (dotted key, old, new)."""
    found: list[tuple[str, Any, Any]] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append((f"{prefix}{key}", before, after))
    return found
