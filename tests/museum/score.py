"""How many of the bugs are found, and how often something that is right is flagged.

    python tests/museum/score.py --seeds 20

Another seed is another text, other draws and other weights. Exit code 1 when a bug is missed or
something right is flagged.
"""

from __future__ import annotations

import argparse
import inspect
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

from clozebox.components import Component
from clozebox.registry import load_registry

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (28, 62, 16)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 to SEEDS - 1 (default 20)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (all cores)")
    given = parser.parse_args()
    start = time.perf_counter()
    with ProcessPoolExecutor(given.jobs, initializer=_one_thread) as pool:
        missed = score_exhibits(pool, given.seeds)
        alarms = score_bundled(pool, given.seeds)
    print(f"\n{time.perf_counter() - start:.0f} s, {given.jobs} processes")
    return 1 if missed or alarms else 0


def bundled() -> dict[str, Component]:
    """Every masking strategy and objective of this repository's plugins, with its defaults."""
    registry = load_registry()
    return {
        f"{kind} {name}": found()
        for kind in ("masking strategy", "objective")
        for name in registry.names(kind)
        if ROOT / "plugins" in Path(inspect.getfile(found := registry.get(kind, name))).parents
    }


def score_exhibits(pool: Executor, seeds: int) -> int:
    """A line for each bug; how often one was missed."""
    from tests.museum.rooms import EXHIBITS

    _line("exhibit", "project [of the seventeen]", "flagged by", "detected")
    total = 0
    for number, one in enumerate(EXHIBITS):
        found = sum(pool.map(partial(_is_found, number), range(seeds)))
        project = f"{one.project} [{one.number}]" if one.number else one.project
        _line(one.name, project, one.flagged_by, f"{found}/{seeds}")
        total += found
    print(f"\n{len(EXHIBITS)} bugs, found {total} of {len(EXHIBITS) * seeds} times\n")
    return len(EXHIBITS) * seeds - total


def score_bundled(pool: Executor, seeds: int) -> int:
    """A line for each component of the repository; the number of false alarms."""
    _line("component", "", "", "false alarms")
    components, total, questions = list(bundled()), 0, 0
    for name in components:
        answers = list(pool.map(partial(_alarms, name), range(seeds)))
        flagged = [alarm for alarms, _ in answers for alarm in alarms]
        asked = sum(tried for _, tried in answers)
        _line(name, " ".join(sorted(set(flagged))), "", f"{len(flagged)}/{asked}")
        total, questions = total + len(flagged), questions + asked
    print(f"\n{len(components)} components, {total} false alarms in {questions} questions")
    return total


def _line(*cells: str) -> None:
    padded = [cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=False)]
    print(*padded, *cells[len(WIDTHS) :], flush=True)


def _is_found(number: int, seed: int) -> bool:
    from tests.museum.rooms import EXHIBITS

    return EXHIBITS[number].seen(seed) is not None


def _alarms(name: str, seed: int) -> tuple[Sequence[str], int]:
    """The properties that do not hold, and how many were tried."""
    from tests.museum.exhibit import verdicts

    tried = verdicts(bundled()[name], seed)
    return [one.name for one in tried if not one.passed], len(tried)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


if __name__ == "__main__":
    if __package__:
        sys.exit(main())
    # Run by its path, it is in no package; its own imports need the repository's root.
    again = [sys.executable, "-m", "tests.museum.score", *sys.argv[1:]]
    sys.exit(subprocess.call(again, cwd=ROOT))
