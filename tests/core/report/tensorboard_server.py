"""A TensorBoard server, asked over its own HTTP API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

LOADERS = ("auto", "false")
"""The Rust data server where it is installed, and the slow loader."""


@contextmanager
def served(folder: Path, loader: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0"]
    command += ["--host", "127.0.0.1", f"--load_fast={loader}", "--reload_interval", "1"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert server.stderr is not None
    try:
        line = next(line for line in server.stderr if " at http://" in line)
        yield line.split(" at ")[1].split()[0].rstrip("/")
    finally:
        server.terminate()
        server.wait()
        server.stderr.close()


def ask(url: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    asked = f"{url}/data/plugin/{path}" + (f"?{urlencode(query)}" if query else "")
    request = Request(asked, data, {"Content-Type": "application/json"})
    with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
        return json.load(answer)


def until(found: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Ask until the server, which reads the files one after the other, has come so far."""
    deadline, last = time.monotonic() + 30, None
    while time.monotonic() < deadline:
        try:
            last = found()
        except OSError as error:  # 404 until the run is read
            last = error
        else:
            if holds(last):
                return last
        time.sleep(0.2)
    raise AssertionError(f"TensorBoard found only {last}")
