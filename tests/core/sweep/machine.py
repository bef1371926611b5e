"""A sweep on a machine of its own, as far as it can tell: FILE RUNS WORKERS STORAGE HOST."""

import socket
import sys
from pathlib import Path

import fake_plugin

from clozebox.config import load_experiment
from clozebox.registry import registry_of
from clozebox.sweep import Workspace, run_sweep, worker

file, runs, workers, storage, host = sys.argv[1:]
socket.gethostname = lambda: host
worker.LOOK_SECONDS = 0.1
registry = registry_of(fake_plugin)
workspace = Workspace(
    load_experiment(Path(file), registry), registry, runs=Path(runs), cache=Path(runs) / "cache"
)
child = [sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_child.py"))]
result = run_sweep(
    workspace,
    workers=int(workers),
    storage=storage or None,
    command=lambda run: [*child, str(run)],
)
sys.exit(result.exit_code)
