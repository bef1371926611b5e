"""What it takes until `clozebox` answers, and until a run has taken its first step.

    python -m tests.benchmarks.start_up

Whole processes, in rounds: each round starts every subject once, so that whatever else the machine
does falls on all of them, and a ratio is that of one round. The time is the processor's, of one
thread, which does not run while another process has it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

BARE = """
import click, pluggy

@click.group()
def cli():
    "Click, pluggy and the plugins, and nothing else."

manager = pluggy.PluginManager("clozebox")
manager.load_setuptools_entrypoints("clozebox")
cli()
"""
"""The least that an extensible command line can be: it loads its plugins to know their commands."""
CLOZEBOX = "from clozebox.cli import main; main()"
FORGETFUL = "import os; os.environ['XDG_CACHE_HOME'] = os.devnull\n"
"""The list of commands is in no cache."""
FIRST_STEP = (
    """
import os, sys
from clozebox.training.optimizer import GuardedAdamW

def step_and_end(optimizer, step=GuardedAdamW.step):
    step(optimizer)
    print(*sys.modules)
    sys.stdout.flush()
    os._exit(0)

GuardedAdamW.step = step_and_end
"""
    + CLOZEBOX
)
"""`clozebox`, until the first step of its optimizer; the last line names what it has imported."""
EXPERIMENT = """
size = "tiny"
corpus = "python_docs"
objectives = ["mlm"]
masking = "token"
budget.steps = 100
speed.device = "cpu"
"""
"""Steps of 32 sequences of 128 tokens."""
TRAIN = ("train", "run.toml", "--set")
SUBJECTS: Mapping[str, Sequence[str]] = {
    "bare --help": ("-c", BARE, "--help"),
    "clozebox --help": ("-c", CLOZEBOX, "--help"),
    "clozebox --help, first": ("-c", FORGETFUL + CLOZEBOX, "--help"),
    "import torch": ("-c", "import torch"),
    "import torch, not ended": ("-c", "import os, torch; os._exit(0)"),
    "first step": ("-c", FIRST_STEP, *TRAIN, "reporters=[]"),
    "first step, TensorBoard": ("-c", FIRST_STEP, *TRAIN, 'reporters=["tensorboard"]'),
}
"""What is given to Python."""
COMPARED = (
    ("clozebox --help", "bare --help"),
    ("clozebox --help, first", "bare --help"),
    ("first step", "import torch"),
    ("first step, TensorBoard", "import torch"),
    ("first step", "import torch, not ended"),
)


def environment(folder: Path) -> dict[str, str]:
    """As a user has it: compiled modules are kept, and so is the list of commands."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}


def run(subject: str, folder: Path) -> str:
    """Start a subject in ``folder`` and wait for its end; -> what it printed."""
    for old in folder.glob("runs/*/*/seed-*"):
        old.rename(old.with_name(f"run-{len([*old.parent.iterdir()])}"))  # a new run each time
    command = [sys.executable, *SUBJECTS[subject]]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{subject} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def seconds(subject: str, folder: Path) -> float:
    """Of a processor, from the start of a subject to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(subject, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def timed(subjects: Sequence[str], folder: Path, rounds: int) -> Mapping[str, list[float]]:
    """The seconds of each subject in each round, after one round that fills the caches."""
    for subject in subjects:
        run(subject, folder)
    found: dict[str, list[float]] = {subject: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            found[subject].append(seconds(subject, folder))
    return found


def ratios(found: Mapping[str, list[float]], ours: str, peer: str) -> list[float]:
    """Round by round, from the least to the most."""
    return sorted(a / b for a, b in zip(found[ours], found[peer], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "sandbox.toml").touch()
        (folder / "run.toml").write_text(EXPERIMENT)
        found = timed([*SUBJECTS], folder, given.rounds)
    print(f"processor time, one thread, medians of {given.rounds} interleaved rounds")
    for subject, times in found.items():
        print(f"  {subject:24} {1e3 * statistics.median(times):6.0f} ms")
    for ours, peer in COMPARED:
        each = ratios(found, ours, peer)
        middle = statistics.median(each)
        print(f"  {ours} / {peer}: {middle:.2f} ({each[0]:.2f} to {each[-1]:.2f})")


if __name__ == "__main__":
    main()
