"""Whether runs come from the same code, and were computed in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clozebox.report.records import RunRecord

SHORT_COMMIT = 7


def provenance_notes(runs: Sequence[RunRecord]) -> list[str]:
    """A remark each on code, plugins and machine, where the runs do not agree."""
    sessions = [session for run in runs for session in run.sessions]
    found = []
    if len(commits := _distinct(_commit(s["git"]) for s in sessions if "git" in s)) > 1:
        found.append(
            f"The runs were trained by {len(commits)} versions of the code "
            f"(commits {', '.join(commits)})."
        )
    if plugins := _disagreements([s.get("plugins", {}) for s in sessions]):
        found.append(f"The runs were trained by different versions of plugin {', '.join(plugins)}.")
    machines = [s.get("libraries", {}) | s.get("numerics", {}) for s in sessions]
    if unlike := _disagreements(machines):
        said = "; ".join(f"{key} {', '.join(held)}" for key, held in unlike.items())
        found.append(f"The runs were not computed alike: {said}.")
    return found


def _commit(git: Mapping[str, Any] | None) -> str:
    if git is None:
        return "unknown"
    changes = " with local changes" if git["dirty"] else ""
    return f"{git['commit'][:SHORT_COMMIT]}{changes}"


def _disagreements(tables: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Keys on which the tables that have them disagree, with all that they say."""
    keys = sorted({key for table in tables for key in table})
    found = {key: _distinct(str(table[key]) for table in tables if key in table) for key in keys}
    return {key: held for key, held in found.items() if len(held) > 1}


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
