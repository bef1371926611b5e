"""Following a sweep: a look whenever a run has written something."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from clozebox.errors import UserError

WRITTEN_BY_RUNS = ("status.json", "metrics.jsonl", "resolved.json")
State = frozenset[tuple[str, int, int]]


def follow(folder: Path, look: Callable[[int | None], str], every: float) -> Iterator[str]:
    """What ``look`` says, anew after each change of a run below ``folder``; for ever.

    ``look`` is given the seconds after which a browser should look again, too. What it cannot do
    yet, for no run has begun, is said instead and tried again.
    """
    seen: State | None = None
    while True:
        # First the state and then the look: what is written in between is looked at next time.
        state = state_of(folder)
        if state != seen:
            seen = state
            try:
                yield look(max(1, round(every)))
            except UserError as error:
                yield f"{error}\n"
        time.sleep(every)


def state_of(folder: Path) -> State:
    """What runs have written, with sizes and times; a file being replaced is not among them."""
    found = []
    for name in WRITTEN_BY_RUNS:
        for file in folder.glob(f"**/{name}"):
            try:
                known = file.stat()
            except FileNotFoundError:
                continue
            found.append((str(file), known.st_size, known.st_mtime_ns))
    return frozenset(found)
