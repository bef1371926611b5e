"""Runs that get devices of their own, and jobs for clusters that are written for them."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from clozebox.cli.context import Opened
from clozebox.cli.sweep import sweep
from clozebox.config import find_sandbox
from clozebox.errors import UserError
from clozebox.sweep import run_sweep
from clozebox.sweep.devices import Devices, devices_of, workers_for

DATABASE = "postgresql://me:s3cret@there/db"


@pytest.fixture
def seen(lab):
    """A child that notes its devices and fails when another run has one; and what was noted."""

    def command(run):
        places = (
            f'for d in $(echo "$CUDA_VISIBLE_DEVICES" | tr , " "); do {{}} {lab.root}/gpu-$d; done'
        )
        alone = places.format("mkdir").replace("; done", " || exit 9; done")
        note = f'echo "$CUDA_VISIBLE_DEVICES" > {run}/devices.txt'
        child = " ".join(f"'{word}'" for word in lab.command(run))
        return ["sh", "-c", f"{note}; {alone}; {child}; {places.format('rmdir')}"]

    def notes():
        return sorted(file.read_text().strip() for file in lab.root.glob("*/*/devices.txt"))

    return command, notes


def test_each_run_has_a_gpu_of_its_own(lab, seen):
    command, notes = seen
    lab.write(seeds=[0, 1])
    lab.child(delay=0.03)
    result, _ = lab.sweep(devices=("0", "1"), command=command)
    assert result.tally.done == 6
    assert set(notes()) == {"0", "1"}, "both are in use, though no number of workers was given"


def test_a_run_of_two_ranks_has_two(lab, seen):
    command, notes = seen
    lab.write(seeds=[0])
    lab.child(delay=0.02)
    result, _ = lab.sweep("speed.ranks=2", devices=("a", "b", "c", "d"), command=command)
    assert result.tally.done == 3
    assert all(len(set(note.split(","))) == 2 for note in notes())


def test_without_devices_nobody_is_told_anything(lab, seen, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    command, notes = seen
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n')
    lab.child()
    lab.sweep(command=command)
    assert notes() == ["7"]


def test_a_device_that_is_named_twice_takes_two_runs():
    devices = Devices(["0", "0", "1"])
    assert devices.lend(2) == ("0", "1")
    assert devices.lend(2) is None
    assert devices.lend(1) == ("0",)
    assert devices.lend(1) is None
    devices.give_back(("1",))
    assert devices.lend(1) == ("1",)


def test_auto_takes_what_the_scheduler_granted(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert devices_of("auto") == ("2", "5")
    assert devices_of("0, GPU-8f3a") == ("0", "GPU-8f3a")
    with pytest.raises(UserError, match="names such as 0,1"):
        devices_of("0,,1")


def test_workers_are_as_many_as_have_a_place_and_no_more():
    assert workers_for("0123", ranks=2, asked=None) == 2
    assert workers_for("0123", ranks=1, asked=3) == 3
    with pytest.raises(UserError, match=r"--workers 3: 4 device\(s\) have places for 2 run"):
        workers_for("0123", ranks=2, asked=3)
    with pytest.raises(UserError, match=r"speed\.ranks = 4 needs 4"):
        workers_for("01", ranks=4, asked=None)


@pytest.fixture
def invoke(lab, monkeypatch) -> Any:
    sandbox = find_sandbox(lab.folder)
    monkeypatch.setattr("clozebox.cli.sweep.open_sandbox", lambda: Opened(sandbox, lab.registry))
    monkeypatch.setattr(
        "clozebox.sweep.run_sweep", functools.partial(run_sweep, command=lab.command)
    )

    def invoke(*options: str) -> Result:
        return CliRunner().invoke(sweep, [str(lab.file), *options], catch_exceptions=False)

    return invoke


def test_a_slurm_array_is_a_script_that_runs_the_sweep(lab, invoke, tmp_path):
    lab.write(seeds=[0])
    options = ["--storage", DATABASE, "--devices", "auto", "--set", "optim.beta1=0.8"]
    printed = invoke("--emit", "slurm", "--machines", "5", *options).stdout
    assert "#SBATCH --array=1-5\n" in printed
    assert "#SBATCH --gpus-per-node=1\n" in printed
    assert "s3cret" not in printed, "it is read by whoever may read the file"
    script = tmp_path / "job.sh"
    # With `echo` in place of the program: what bash makes of it.
    lines = printed.splitlines()
    lines[-1] = "exec echo " + lines[-1].split(maxsplit=2)[2]
    script.write_text("\n".join(lines))
    told = subprocess.run(
        ["bash", script], env={"CLOZEBOX_STORAGE": DATABASE}, capture_output=True, text=True
    )
    assert told.stdout.split() == [
        *("sweep", str(lab.file), "--set", "optim.beta1=0.8"),
        *("--workers", "1", "--devices", "auto"),
    ]
    bare = subprocess.run(["bash", script], env={}, capture_output=True, text=True)
    assert bare.returncode != 0 and "CLOZEBOX_STORAGE" in bare.stderr


def test_a_kubernetes_job_is_one_that_yaml_reads(lab, invoke):
    lab.write(seeds=[0])
    options = ["--storage", DATABASE, "--workers", "2", "--devices", "auto"]
    options += ["--set", "speed.ranks=2", "--image", "there/clozebox:1", "--claim", "runs"]
    printed = invoke("--emit", "kubernetes", *options).stdout
    assert "s3cret" not in printed
    job = yaml.safe_load(printed)
    assert (job["kind"], job["metadata"]["name"]) == ("Job", "clozebox-guess")
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 2  # three runs, two at once
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["command"] == [
        *("clozebox", "sweep", str(lab.file), "--set", "speed.ranks=2"),
        *("--workers", "2", "--devices", "auto"),
    ]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "clozebox-guess"
    assert container["workingDir"] == container["volumeMounts"][0]["mountPath"] == str(Path.cwd())
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "runs"
    rules = {rule["action"] for rule in job["spec"]["podFailurePolicy"]["rules"]}
    assert rules == {"Ignore", "FailJob", "FailIndex"}


def test_all_that_a_job_lacks_is_told_at_once(lab, invoke):
    lab.write(seeds=[0])
    with pytest.raises(UserError) as told:
        invoke("--emit", "kubernetes")
    for option in ("--storage", "--image", "--claim"):
        assert option in str(told.value)


def test_an_option_of_a_job_does_nothing_silently(lab, invoke):
    lab.write(seeds=[0])
    result = invoke("--machines", "3")
    assert result.exit_code == 2
    assert "--machines: read only with --emit" in result.output
