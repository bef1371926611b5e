"""A sweep in a process of its own, to be killed, interrupted and doubled by the tests."""

import sys
from datetime import timedelta
from pathlib import Path

import fake_plugin

from clozebox.config import load_experiment
from clozebox.registry import registry_of
from clozebox.sweep import Workspace, run_sweep, trials

# A sweep that dies while it takes a trial leaves it nameless for so long: a minute, but for tests.
trials.HANDOVER = timedelta(seconds=0.5)
file, runs, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
registry = registry_of(fake_plugin)
workspace = Workspace(load_experiment(file, registry), registry, runs=runs, cache=runs / "cache")
child = [sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_child.py"))]
result = run_sweep(workspace, workers=workers, command=lambda run: [*child, str(run)])
sys.exit(result.exit_code)
