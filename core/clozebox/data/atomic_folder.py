"""A folder that is either whole or not there, whoever is killed while making it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Holds the lock beside ``target``; the kernel frees it when its holder dies."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes the name ``target`` when the block ends without an error.

    Call it under ``locked(target)``: what a killed builder left behind is cleared away.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in [*partial.iterdir(), partial]:
            _fsync(path)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
        _fsync(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
