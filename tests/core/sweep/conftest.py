"""A small experiment, swept with children that only pretend to train."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from clozebox.config import load_experiment
from clozebox.registry import Registry, registry_of
from clozebox.sweep import SweepResult, Workspace, run_sweep

HERE = Path(__file__).parent
CHILD = [sys.executable, "-I", "-S", str(HERE / "fake_child.py")]

GROUND = """\
# Which arm guesses best?
size = "pocket"
corpus = "words"
embedding = "flat"
encoder = "thin"
objectives = ["guess"]
evaluations = ["yard"]
seeds = {seeds}
{arms}
[budget]
steps = 4
[train]
evals = 4
"""
THREE_ARMS = """\
[[arm]]
name = "plain"
[[arm]]
name = "masked"
optim.lr = 2e-3
[[arm]]
name = "wide"
optim.lr = 5e-3
"""
SEARCH = """\
[sweep]
trials = {trials}
sampler = "{sampler}"
pruner = "{pruner}"
fresh_seeds = {fresh_seeds}
[sweep.space]
"optim.lr" = {{ low = 1e-5, high = 1e-1, log = true }}
"""


@dataclass
class Lab:
    """An experiment file, its runs, and ways to sweep it here or in another process."""

    folder: Path
    registry: Registry
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "guess.toml"

    @property
    def root(self) -> Path:
        return self.folder / "runs" / "guess"

    def write(self, seeds: list[int], arms: str = THREE_ARMS, sweep: str = "") -> None:
        # The ground comes before the arms in TOML, whose tables would swallow it.
        ground, tables = GROUND.split("{arms}")
        self.file.write_text(ground.format(seeds=seeds) + tables + sweep + arms)

    def search(
        self, trials: int, sampler: str = "random", pruner: str = "none", fresh_seeds: int = 0
    ) -> str:
        return SEARCH.format(trials=trials, sampler=sampler, pruner=pruner, fresh_seeds=fresh_seeds)

    def child(
        self, steps: int = 4, delay: float = 0.0, drag: float = 0.0, **accidents: str
    ) -> None:
        """How the children behave: seconds a step, and how much more where the loss is high.

        Accidents are given by folder, ``masked__1`` for masked/seed-1.
        """
        manner = {
            "steps": steps,
            "delay": delay,
            "drag": drag,
            "accidents": {key.replace("__", "/seed-"): what for key, what in accidents.items()},
        }
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "child.json").write_text(json.dumps(manner))

    def workspace(self, *overrides: str) -> Workspace:
        experiment = load_experiment(self.file, self.registry, overrides)
        runs, cache = self.folder / "runs", self.folder / "cache"
        return Workspace(experiment, self.registry, runs=runs, cache=cache)

    def sweep(self, *overrides: str, **options: Any) -> tuple[SweepResult, str]:
        """A sweep in this process: its result and what it printed."""
        stream = io.StringIO()
        options.setdefault("command", self.command)
        return run_sweep(self.workspace(*overrides), stream=stream, **options), stream.getvalue()

    def command(self, run: Path) -> list[str]:
        return [*CHILD, str(run)]

    def start(self, workers: int) -> subprocess.Popen[str]:
        """A sweep in another process."""
        command = [sys.executable, str(HERE / "supervise.py"), str(self.file)]
        command += [str(self.folder / "runs"), str(workers)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.processes.append(process)
        return process

    def starts(self) -> dict[str, list[int]]:
        """The steps from which each run was started, by folder."""
        return {
            str(file.parent.relative_to(self.root)): [
                int(step) for step in file.read_text().split()
            ]
            for file in sorted(self.root.glob("*/*/starts.txt"))
        }

    def status(self, folder: str) -> dict[str, Any]:
        return dict(json.loads((self.root / folder / "status.json").read_text()))


@contextmanager
def laboratory() -> Iterator[Lab]:
    """A lab for as long as it is used; no process of it outlives it."""
    spec = importlib.util.spec_from_file_location("fake_plugin", HERE / "fake_plugin.py")
    assert spec is not None and spec.loader is not None
    plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plugin)
    memory = Path("/dev/shm")  # where the many fsyncs of a database cost nothing
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        lab = Lab(Path(folder), registry_of(plugin))
        try:
            yield lab
        finally:
            for process in lab.processes:
                process.kill()
                process.communicate()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr("clozebox.sweep.worker.POLL_SECONDS", 0.02)
    monkeypatch.setattr("clozebox.sweep.worker.LOOK_SECONDS", 0.1)
    with laboratory() as lab:
        yield lab


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something that another process brings about."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "waited for 30 seconds in vain"
            time.sleep(0.02)

    return wait


@pytest.fixture
def interrupt_soon() -> Iterator[Callable[[Path, int], None]]:
    """Send this process a signal as soon as a file exists: what Ctrl-C does in a terminal."""
    helpers: list[subprocess.Popen[bytes]] = []

    def arrange(file: Path, number: int) -> None:
        script = f"while [ ! -e '{file}' ]; do sleep 0.02; done; kill -{number} {os.getpid()}"
        helpers.append(subprocess.Popen(["sh", "-c", script]))

    yield arrange
    for helper in helpers:
        helper.send_signal(signal.SIGKILL)
        helper.wait()
