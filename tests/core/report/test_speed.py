"""A comparison is for reading while runs go on: it must not be waited for."""

from __future__ import annotations

import gc
import random
import time
from pathlib import Path

from tests.core.report.synthetic import write_run

from clozebox.cli.compare import compare_experiment

ARMS, SEEDS, POINTS = 20, 10, 1000
SECONDS = 3.0


def write_many(folder: Path) -> None:
    """200 runs of 1,000 evaluations each; runs of one seed have the same curve."""
    logs = {}
    for seed in range(SEEDS):
        draw = random.Random(seed)
        losses = [3 + 5 / (1 + i / 50) + 0.02 * draw.gauss(0, 1) for i in range(POINTS)]
        run = write_run(folder, "arm-0", seed, losses, accuracy=[1 - v / 9 for v in losses])
        logs[seed] = (run / "metrics.jsonl").read_text()
    for arm in range(1, ARMS):
        for seed, text in logs.items():
            run = write_run(folder, f"arm-{arm}", seed, [], index=arm)
            (run / "metrics.jsonl").write_text(text)


def test_two_hundred_runs_of_a_thousand_points_are_compared_within_three_seconds(
    tmp_path: Path,
) -> None:
    write_many(tmp_path / "many")
    gc.collect()
    gc.freeze()  # what other tests left behind is not this one's to go through
    try:
        # A busy machine is slow by fits and starts, so the best of three counts.
        for _ in range(3):
            begun = time.process_time()
            text = compare_experiment(tmp_path / "many")
            if (spent := time.process_time() - begun) < SECONDS:
                break
    finally:
        gc.unfreeze()
    assert text.count("10/10") == ARMS
    assert spent < SECONDS
    assert (tmp_path / "many" / "comparison.html").stat().st_size < 4e6
