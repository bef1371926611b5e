"""Ranks for tests: forks of this process, which have imported everything already."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from clozebox.training.launch import RENDEZVOUS

DEADLINE = 60.0
"""Seconds after which ranks that hang are killed, for the test to fail."""


def in_ranks(size: int, folder: Path, work: Callable[[int], int]) -> list[int]:
    """``work(rank)`` in ``size`` processes that make up a world: the exit code of each.

    -9 is that of a rank that was killed, by itself or at the deadline.
    """
    meeting = folder / f"ranks-{time.monotonic_ns()}"
    children = [_fork(rank, size, meeting, work) for rank in range(size)]
    codes: dict[int, int] = {}
    deadline = time.monotonic() + DEADLINE
    while len(codes) < size:
        for child in children:
            if child not in codes:
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    codes[child] = os.waitstatus_to_exitcode(status)
                elif time.monotonic() > deadline:
                    os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    return [codes[child] for child in children]


def _fork(rank: int, size: int, meeting: Path, work: Callable[[int], int]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        torch.set_num_threads(1)  # a pool of threads does not survive a fork
        told = {"RANK": str(rank), "WORLD_SIZE": str(size), RENDEZVOUS: f"file://{meeting}"}
        os.environ |= told
        code = work(rank)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
