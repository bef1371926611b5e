"""Kills sweeps and runs at random moments, and starts a new sweep for each that is gone.

``python -m tests.core.sweep.killing --sweeps 4 --workers 2 --trials 200 --kills 50``
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass

from optuna.trial import TrialState
from tests.core.sweep.conftest import Lab, laboratory

from clozebox.sweep.study import open_storage


@dataclass
class Told:
    """What was killed."""

    of_sweeps: int = 0
    of_runs: int = 0

    @property
    def kills(self) -> int:
        return self.of_sweeps + self.of_runs


class Killing:
    """Some sweeps of the same experiment, each with some workers, none of them safe."""

    def __init__(self, lab: Lab, sweeps: int, workers: int, seed: int) -> None:
        self.lab, self.workers = lab, workers
        self.chance = random.Random(seed)
        self.sweeps: list[subprocess.Popen[str]] = [lab.start(workers) for _ in range(sweeps)]
        self.told = Told()

    def kill(self, times: int) -> Told:
        """SIGKILL sweeps and runs in turn, at random moments; at the end every sweep.

        What they trained lives on for a while, as it would.
        """
        while self.told.kills < times and not self._through():
            time.sleep(self.chance.uniform(0.05, 0.5))
            if self.told.kills % 2:
                self._kill_a_run()
            else:
                self._kill_a_sweep()
        for sweep in self.sweeps:
            self.told.of_sweeps += sweep.poll() is None
            sweep.kill()
            sweep.wait()
        return self.told

    def _through(self) -> bool:
        return all(sweep.poll() == 0 for sweep in self.sweeps)

    def _kill_a_sweep(self) -> None:
        place = self.chance.randrange(len(self.sweeps))
        if not list(self.lab.root.glob("*/*/status.json")):
            return  # still starting
        self.told.of_sweeps += self.sweeps[place].poll() is None
        self.sweeps[place].kill()
        self.sweeps[place].wait()
        self.sweeps[place] = self.lab.start(self.workers)

    def _kill_a_run(self) -> None:
        statuses = [json.loads(file.read_text()) for file in self.lab.root.glob("*/*/status.json")]
        pids = [status["pid"] for status in statuses if status["state"] == "running"]
        alive = [pid for pid in pids if _is_ours(pid)]
        if alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(alive), signal.SIGKILL)
                self.told.of_runs += 1


def _is_ours(pid: int) -> bool:
    """Not a stranger that was given the number of a run that is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"fake_child.py" in file.read()
    except OSError:
        return False


def faults_of(lab: Lab, trials: int) -> list[str]:
    """What is not as it must be, once every run has ended: each trial is one run, made once."""
    faults = []
    with open_storage(None, lab.root) as storage:
        found = storage.get_all_trials(storage.get_study_id_from_name("guess/plain"))
    folders = [trial.user_attrs["folder"] for trial in found]
    if len(found) != trials or sorted(folders) != sorted(lab.starts()):
        faults.append(f"{len(found)} trials of {len(set(folders))} runs, not {trials}")
    for trial, folder in zip(found, folders, strict=True):
        starts, status = lab.starts()[folder], lab.status(folder)
        if trial.state is not TrialState.COMPLETE or status["state"] != "done":
            faults.append(f"{folder}: {trial.state.name} in the study, {status['state']} on disk")
        elif trial.value != status["result"]["eval/cloze_loss"]:
            faults.append(f"{folder}: {trial.value} in the study, {status['result']} on disk")
        if starts[0] != 0 or starts != sorted(starts):
            faults.append(f"{folder}: started from {starts}")
        if trial.params != json.loads((lab.root / folder / "trial.json").read_text()):
            faults.append(f"{folder}: its values are not those of its trial")
        if _is_ours(status["pid"]):
            faults.append(f"{folder}: process {status['pid']} lives on")
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for option, usual in (("sweeps", 4), ("workers", 2), ("trials", 200), ("kills", 50)):
        parser.add_argument(f"--{option}", type=int, default=usual)
    given = parser.parse_args()
    with laboratory() as lab:
        lab.write([0], '[[arm]]\nname = "plain"\n', lab.search(trials=given.trials))
        lab.child(steps=4, delay=0.3)
        begun = time.monotonic()
        told = Killing(lab, given.sweeps, given.workers, seed=1).kill(given.kills)
        lab.child(steps=4)
        result, _ = lab.sweep(workers=given.workers)
        resumed = sum(len(starts) - 1 for starts in lab.starts().values())
        print(f"{told}: {result.tally.done} of {given.trials} done, {resumed} resumed")
        print(f"faults: {faults_of(lab, given.trials) or 'none'}")
        print(f"{time.monotonic() - begun:.0f} s")
