"""Ranks that our own launcher starts: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clozebox.training import RunDirectory
from clozebox.training.checkpoint import newest_checkpoint
from clozebox.training.launch import Course, _follow, launch

MakeRun = Callable[..., RunDirectory]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline, "waited for a minute in vain"
        time.sleep(0.02)


def status_of(run: RunDirectory) -> dict[str, Any]:
    status = run.status()
    assert status is not None
    return status


@pytest.mark.slow
def test_ctrl_c_saves_what_two_ranks_have(make_run: MakeRun) -> None:
    run = make_run(
        budget={"steps": 100_000},
        train={"log_every": 1, "evals": 1},
        speed={"ranks": 2, "device": "cpu"},
    )
    command = [sys.executable, "-m", "clozebox.training", str(run.path)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: len(run.metrics()) >= 2, process)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does: to the launcher and to each rank
    assert process.wait(timeout=60) == 130
    assert status_of(run)["state"] == "interrupted"
    assert newest_checkpoint(run.checkpoints) is not None


def test_a_rank_that_goes_on_without_the_others_is_ended(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clozebox.training.launch.PATIENCE", 0.2)
    one = subprocess.Popen(["sh", "-c", "exit 3"])
    other = subprocess.Popen(["sleep", "60"])
    assert _follow([one, other], []) == Course(asked=None, first=0)
    assert other.returncode == -signal.SIGKILL


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each rank does, in place of training: lines of a shell."""
    lines: list[str] = []

    def start(run: RunDirectory, rank: int, ranks: int, meeting: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", lines[rank]])

    monkeypatch.setattr("clozebox.training.launch._start", start)
    return lines


def test_a_killed_rank_is_named_though_rank_0_cannot_know_it(
    make_run: MakeRun, scripts: list[str]
) -> None:
    run = make_run()
    run.write_status("failed", step=7, reason="another rank is gone without a word")
    scripts += ["sleep 0.3; exit 1", "kill -9 $$"]
    assert launch(run, 2) == 1
    assert status_of(run)["reason"] == "rank 1 was killed by SIGKILL"
    assert status_of(run)["step"] == 7


def test_what_rank_0_did_not_live_to_write_is_written(
    make_run: MakeRun, scripts: list[str]
) -> None:
    run = make_run()
    run.write_status("running")
    scripts += ["sleep 0.3; kill -9 $$", "exit 5"]
    assert launch(run, 2) == 1
    assert status_of(run)["state"] == "failed"
    assert status_of(run)["reason"] == "rank 1 ended with exit code 5"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ranks_are_told_once_to_stop_and_the_exit_code_names_the_signal(
    make_run: MakeRun, scripts: list[str], tmp_path: Path, number: int
) -> None:
    told = tmp_path / "told"
    listen = f"trap 'echo told >> {told}; exit 143' TERM; while :; do sleep 0.05; done"
    scripts += [f"(sleep 0.3; kill -{int(number)} {os.getpid()}) & {listen}", listen]
    assert launch(make_run(), 2) == 128 + number
    assert told.read_text().split() == ["told"] * 2
