"""What a sweep itself costs: many trials in one SQLite study, of a child that does next to nothing.

    python -m tests.benchmarks.sweep_overhead --trials 1000 --workers 2
    python -m tests.benchmarks.sweep_overhead --trials 8 --seconds 30 --evals 20

Overhead is the time of a worker that no child was running in: wall time of the sweep times workers,
less what the children took by their own clocks, from the call that starts them to their last line.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clozebox.config import load_experiment
from clozebox.registry import registry_of
from clozebox.sweep import Workspace, run_sweep

SWEEP_TESTS = Path(__file__).resolve().parents[1] / "core" / "sweep"

EXPERIMENT = """\
size = "pocket"
corpus = "words"
embedding = "flat"
encoder = "thin"
objectives = ["guess"]
evaluations = ["yard"]
seeds = [0]
budget.steps = {evals}
train.evals = {evals}
[sweep]
trials = {trials}
sampler = "{sampler}"
pruner = "{pruner}"
fresh_seeds = 0
[sweep.space]
"optim.lr" = {{ low = 1e-5, high = 1e-1, log = true }}
"""
CHILD = """\
import json, os, sys, time
run, evals, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with open(run + "/metrics.jsonl", "w") as file:
    for step in range(1, evals + 1):
        time.sleep(pause)
        file.write(json.dumps({"step": step, "eval/cloze_loss": 4 - step / evals}) + "\\n")
        file.flush()
done = {"state": "done", "pid": os.getpid(), "result": {"eval/cloze_loss": 3.0}}
with open(run + "/status.tmp", "w") as file:
    json.dump(done, file)
os.replace(run + "/status.tmp", run + "/status.json")  # as a run does: never half of it
with open(run + "/ended.txt", "w") as file:
    file.write(str(time.monotonic()))
"""


def measure(
    trials: int, workers: int, sampler: str, pruner: str, evals: int, seconds: float, folder: Path
) -> dict[str, Any]:
    """What a sweep of so many trials took, which last ``seconds`` each."""
    spec = importlib.util.spec_from_file_location("fake_plugin", SWEEP_TESTS / "fake_plugin.py")
    assert spec is not None and spec.loader is not None
    plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plugin)
    registry = registry_of(plugin)
    file = folder / "guess.toml"
    file.write_text(EXPERIMENT.format(trials=trials, sampler=sampler, pruner=pruner, evals=evals))
    workspace = Workspace(
        load_experiment(file, registry), registry, runs=folder / "runs", cache=folder / "cache"
    )
    begun: dict[Path, float] = {}

    def command(run: Path) -> list[str]:
        begun[run] = time.monotonic()
        return [sys.executable, "-I", "-S", "-c", CHILD, str(run), str(evals), str(seconds / evals)]

    before, start = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    result = run_sweep(workspace, workers=workers, command=command, stream=io.StringIO())
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF)
    assert result.tally.ended == trials, result.tally
    children = sum(float((run / "ended.txt").read_text()) - at for run, at in begun.items())
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "trials": trials,
        "workers": workers,
        "sampler": sampler,
        "pruner": pruner,
        "evaluations a trial": evals,
        "wall s": round(wall, 2),
        "overhead s a trial": round((wall * workers - children) / trials, 4),
        "of it CPU s": round(own / trials, 4),
        "overhead % of a run": round(100 * (wall * workers - children) / children, 2),
        "CPU % of a run": round(100 * own / children, 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--pruner", default="none")
    parser.add_argument("--evals", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="How long a run sleeps.")
    parser.add_argument("--folder", help="Where the study is written.  [default: a temporary one]")
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as scratch:
        found = measure(
            given.trials,
            given.workers,
            given.sampler,
            given.pruner,
            given.evals,
            given.seconds,
            Path(scratch),
        )
    print(json.dumps(found))
