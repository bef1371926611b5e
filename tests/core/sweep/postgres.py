"""A real PostgreSQL server for tests, on a socket of its own, gone when they end."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; Debian keeps it off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a database that is empty; skips the test where there is no server."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'clozebox[postgres]'")
    folder = programs()
    if folder is None:
        pytest.skip("needs a PostgreSQL server, such as Debian's package postgresql")
    as_user: dict[str, Any] = {}
    name = getpass.getuser()
    if os.geteuid() == 0:  # which the server refuses to run as
        name = next((n for n in ("postgres", "nobody") if _knows(n)), "")
        as_user = {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        shutil.chown(home, name)
        data = Path(home) / "data"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home}
        make = [folder / "initdb", "-D", data, "-U", "tests", "-A", "trust", "--no-sync"]
        subprocess.run(make, check=True, **quiet, **as_user)
        run = [folder / "postgres", "-D", data, "-c", "listen_addresses=", "-k", home]
        run += ["-c", "fsync=off", "-c", "max_connections=50"]
        process = subprocess.Popen(run, **quiet, **as_user)
        try:
            _wait_for(home)
            yield f"postgresql://tests@/postgres?host={home}"
        finally:
            process.terminate()  # a smart shutdown would wait for whoever forgot to leave
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ask(url: str, question: str) -> list[tuple[Any, ...]]:
    """The rows of an answer; none to what is no question."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        answer = connection.execute(question)
        return answer.fetchall() if answer.description else []


def _knows(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _wait_for(home: str) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"postgresql://tests@/postgres?host={home}").close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)
