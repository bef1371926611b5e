"""How cost grows: with size, sequence length, batch, vocabulary, corpus; of sweeps, with workers.

    python -m tests.benchmarks.scaling [--png growth.png]

Each point is a process of its own: the median time of its steps, and its peak memory. One thing is
varied at a time around a tiny model on 32 full rows of 128 tokens, V = 8,192, in fp32. Of a sweep
it is what the machinery takes for a trial, whatever the trial does.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

AXES: Mapping[str, Sequence[Any]] = {
    "size": ("tiny", "mini", "small", "medium", "base"),
    "length": (32, 64, 128, 256, 512),
    "sequences": (8, 16, 32, 64, 128),
    "vocabulary": (2_048, 8_192, 30_522, 65_536),
    "corpus": (20, 200, 2_000, 20_000),
    "workers": (1, 2, 4, 8),
}
STEPS = 5
TRIALS = 64
UNITS = {"corpus": "ms to fetch 32 rows", "workers": "ms a trial"}
NAMES = {"corpus": "documents", "sequences": "batch"}


def measured(axis: str, value: Any) -> dict[str, float]:
    """Milliseconds and MiB at one point, measured in another process."""
    command = [sys.executable, "-m", "tests.benchmarks.scaling", "--point", axis, json.dumps(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def point(axis: str, value: Any) -> dict[str, float]:
    """The same, in this process."""
    if axis == "workers":
        times = [a_trial(value)]
    else:
        times = rows_of_a_corpus(value) if axis == "corpus" else steps(axis, value)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": 1e3 * statistics.median(times), "mib": peak}


def steps(axis: str, value: Any) -> list[float]:
    from tests.benchmarks.peers import Clozebox, Workload

    load = replace(Workload(padded=False, vocabulary=8_192), **{axis: value})
    ours = Clozebox.of(load)
    ours.step()
    return [_seconds(ours.step) for _ in range(STEPS)]


def rows_of_a_corpus(documents: int) -> list[float]:
    """Fetching 32 rows of 128 tokens from stores of so many documents."""
    import numpy as np

    from clozebox.config.settings import TokenizerSettings
    from clozebox.data import make_examples, prepare
    from clozebox.registry import load_registry

    config: Any = load_registry().get("corpus", "hmm")
    with tempfile.TemporaryDirectory() as folder:
        settings = TokenizerSettings(vocab_size=900)
        store = prepare(config(documents=documents), settings, Path(folder))
        every = np.arange(store.num_documents)
        examples = make_examples("single", store, every, 128, short_seq_prob=0.0, seed=0)
        examples.rows(0, 1)
        return [_seconds(lambda at=at: examples.rows(32 * at, 32)) for at in range(200)]


def a_trial(workers: int) -> float:
    """Wall time that a sweep adds to a trial, by the trials that end meanwhile."""
    from tests.benchmarks.sweep_overhead import measure

    with tempfile.TemporaryDirectory() as folder:
        found = measure(TRIALS, workers, "random", "none", 1, 0.0, Path(folder))
    return float(found["wall s"]) / TRIALS


def _seconds(step: Any) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def figure(found: Mapping[str, Mapping[Any, Mapping[str, float]]], path: Path) -> None:
    """Time and memory against each axis; equal steps are equal factors."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    drawn, places = plt.subplots(
        2, len(found), figsize=(2.6 * len(found), 5), squeeze=False, layout="constrained"
    )
    for column, (axis, points) in enumerate(found.items()):
        for row, key in enumerate(("ms", "mib")):
            place, values = places[row][column], [one[key] for one in points.values()]
            place.plot(range(len(points)), values, "o-")
            place.set_xticks(range(len(points)), [_short(value) for value in points], rotation=45)
            place.set_yscale("log")
            place.set_ylim(min(values) / 2, 2 * max(values))
            place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            place.yaxis.set_major_formatter(ScalarFormatter())
            place.yaxis.set_minor_formatter(NullFormatter())
            place.grid(alpha=0.3)
            place.set_ylabel(UNITS.get(axis, "ms a step") if key == "ms" else "peak MiB")
        places[1][column].set_xlabel(NAMES.get(axis, axis))
    drawn.savefig(path, dpi=110)


def _short(value: Any) -> str:
    return f"{value // 1000}k" if isinstance(value, int) and value >= 10_000 else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--png", type=Path)
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.point:
        print(json.dumps(point(given.point[0], json.loads(given.point[1]))))
        return
    found: dict[str, dict[Any, dict[str, float]]] = {}
    for axis, values in AXES.items():
        kind = "of the clock" if axis == "workers" else "of processor time"
        print(f"| {axis} | ms {kind} | peak MiB |\n|---|---|---|")
        for value in values:
            found.setdefault(axis, {})[value] = one = measured(axis, value)
            print(f"| {value} | {one['ms']:.4g} | {one['mib']:.0f} |", flush=True)
        print()
    if given.png is not None:
        figure(found, given.png)


if __name__ == "__main__":
    main()
