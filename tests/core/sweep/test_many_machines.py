"""One experiment on many machines, which share a database and perhaps no files."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.core.sweep.postgres import ask, server

from clozebox.errors import UserError
from clozebox.sweep.study import with_driver

HERE = Path(__file__).parent
RUNS = [f"{arm}/seed-{seed}" for arm in ("masked", "plain", "wide") for seed in (0, 4)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture
def database(postgres: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of its own, as a person would write it."""
    name = f"sweep_{hash(tmp_path) % 10**9}"
    ask(postgres, f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    ask(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def machine(lab) -> Callable[..., subprocess.Popen[str]]:
    """``machine("a", storage)`` sweeps on host ``a``, with files of its own unless they share."""

    def start(host, storage, workers=1, shares_files=False):
        runs = lab.folder / ("runs" if shares_files else f"runs-{host}")
        child = runs / "guess" / "child.json"
        child.parent.mkdir(parents=True, exist_ok=True)
        child.write_text((lab.root / "child.json").read_text())
        command = [sys.executable, str(HERE / "machine.py"), str(lab.file), str(runs)]
        command += [str(workers), storage, host]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        lab.processes.append(process)
        return process

    return start


def trained(folder: Path) -> list[str]:
    """The runs that were begun below ``folder``, one for each start."""
    return sorted(
        f"{file.parent.parent.name}/{file.parent.name}"
        for file in folder.glob("*/*/*/starts.txt")
        for _ in file.read_text().split()
    )


def test_three_machines_without_a_common_file_train_each_run_once(lab, database, machine):
    lab.write(seeds=[0, 4])
    lab.child(delay=0.1)
    machines = [machine(host, database) for host in "abc"]
    printed = [process.communicate(timeout=60)[0] for process in machines]
    assert [process.returncode for process in machines] == [0, 0, 0], printed
    shares = [trained(lab.folder / f"runs-{host}") for host in "abc"]
    assert sorted(itertools.chain(*shares)) == RUNS


@pytest.mark.parametrize("shares_files", [True, False], ids=["common files", "own files"])
def test_the_run_of_a_dead_machine_is_taken_up_by_another(
    lab, database, machine, wait_until, shares_files
):
    lab.write(seeds=[0], arms='[[arm]]\nname = "slow"\noptim.lr = 0.1\n[[arm]]\nname = "fast"\n')
    lab.child(steps=200, drag=0.01)  # a quarter of a second a step, and none
    files = {host: lab.folder / ("runs" if shares_files else f"runs-{host}") for host in "ab"}
    slow, fast = "guess/slow/seed-0", "guess/fast/seed-0"
    first = machine("a", database, shares_files=shares_files)
    wait_until((files["a"] / slow / "saved.txt").exists)
    second = machine("b", database, shares_files=shares_files)
    wait_until(lambda: (files["b"] / fast / "status.json").exists())
    assert first.poll() is None
    assert (files["a"] / slow / "starts.txt").read_text() == "0\n", "it is still being trained"

    assert shares_files or not (files["b"] / slow / "starts.txt").exists()

    first.kill()
    first.wait()
    lab.child(steps=200)
    (files["b"] / "guess" / "child.json").write_text((lab.root / "child.json").read_text())
    if shares_files:  # a machine that dies takes its processes with it
        os.kill(json.loads((files["a"] / slow / "status.json").read_text())["pid"], signal.SIGKILL)
    printed = second.communicate(timeout=60)[0]
    assert second.returncode == 0, printed
    starts = [int(step) for step in (files["b"] / slow / "starts.txt").read_text().split()]
    if shares_files:
        assert len(starts) == 2 and starts[1] > 0, "it goes on from the checkpoint"
    else:
        assert starts == [0]


def test_a_sweep_that_lost_its_locks_saves_and_the_same_command_goes_on(lab, database, monkeypatch):
    monkeypatch.setattr("clozebox.sweep.hosts.CHECK_SECONDS", 0.1)
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n')
    lab.child(steps=200, delay=0.05)

    def cut_off(self):
        if (lab.root / "plain" / "seed-0" / "saved.txt").exists():
            held = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            ask(database, held)

    with monkeypatch.context() as patch:
        patch.setattr("clozebox.sweep.job.Job.follow", cut_off)
        with pytest.raises(UserError, match="lost the study's database"):
            lab.sweep(storage=database)
    assert lab.status("plain/seed-0")["state"] == "interrupted"
    lab.child(steps=200)
    result, _ = lab.sweep(storage=database)
    assert result.tally.done == 1
    assert len(lab.starts()["plain/seed-0"]) == 2


def test_a_search_in_postgres_keeps_its_trials(lab, database):
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n', sweep=lab.search(trials=3))
    lab.child()
    assert lab.sweep(storage=database, workers=2)[0].tally.done == 3
    assert lab.sweep(storage=database)[0].tally.done == 3
    assert len(lab.starts()) == 3
    states = ask(database, "SELECT state, count(*) FROM trials GROUP BY state")
    assert states == [("COMPLETE", 3)]


def test_no_lock_is_left_behind(lab, database):
    lab.write(seeds=[0])
    lab.child()
    lab.sweep(storage=database, workers=3)
    assert ask(database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_a_url_without_a_driver_gets_the_one_that_comes_with_clozebox():
    assert with_driver("postgresql://me@there/db") == "postgresql+psycopg://me@there/db"
    assert with_driver("postgresql+psycopg2://me@there/db") == "postgresql+psycopg2://me@there/db"
    assert with_driver("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"


def test_a_database_that_is_not_there_is_the_users_error_and_its_password_is_not_told(lab):
    pytest.importorskip("psycopg")
    lab.write(seeds=[0])
    with pytest.raises(UserError, match="cannot open the study at") as told:
        lab.sweep(storage="postgresql://me:s3cret@/db?host=/nowhere")
    assert "s3cret" not in str(told.value)


def test_eight_workers_of_two_sweeps_on_sqlite_lose_nothing(lab, machine):
    seeds = list(range(8))
    lab.write(seeds=seeds)
    lab.child(steps=2, delay=0.02)
    machines = [machine("here", "", workers=4, shares_files=True) for _ in range(2)]
    printed = [process.communicate(timeout=120)[0] for process in machines]
    assert [process.returncode for process in machines] == [0, 0], printed
    runs = [f"{arm}/seed-{seed}" for arm in ("masked", "plain", "wide") for seed in seeds]
    assert lab.starts() == dict.fromkeys(sorted(runs), [0])
    assert lab.sweep()[0].tally.done == 24
