"""Where the runs of an experiment lie, from whatever a person types for it."""

from __future__ import annotations

from pathlib import Path

from clozebox.errors import UserError, did_you_mean


def experiment_folder(given: str) -> Path:
    """The folder of runs for a folder, an experiment's name or its TOML file.

    Raises:
        UserError: there are no such runs; the message lists those there are.
    """
    if Path(given).is_dir():
        return Path(given)
    runs = runs_folder()
    name = Path(given).stem if given.endswith(".toml") else given
    if (runs / name).is_dir():
        return runs / name
    known = experiments(runs)
    listed = f"there are runs of: {', '.join(known)}" if known else f"{runs} holds no runs yet"
    raise UserError(f"there are no runs of {name!r}{did_you_mean(name, known)}\n{listed}")


def runs_folder() -> Path:
    """The sandbox's folder of runs."""
    from clozebox.config import find_sandbox

    return Path(find_sandbox().runs)


def experiments(runs: Path) -> list[str]:
    """The experiments that have runs, by name."""
    return sorted(folder.name for folder in runs.glob("*") if any(folder.glob("*/*/resolved.json")))
