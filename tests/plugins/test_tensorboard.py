"""What TensorBoard itself reads back of the event files, over its own HTTP API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from clozebox.training import Reporter, RunDirectory
from clozebox_tensorboard import TensorBoardConfig, register_reporters

LOADERS = ("auto", "false")
"""The Rust data server where it is installed, and the slow loader."""


def started(
    folder: Path, arm: str, seed: int, settings: dict[str, Any], first: int = 1, trial: str = ""
) -> Reporter:
    path = folder / (arm + trial) / f"seed-{seed}"
    path.mkdir(parents=True, exist_ok=True)
    resolved = {"experiment": folder.name, "arm": arm, "seed": seed, "settings": settings}
    (path / "resolved.json").write_text(json.dumps(resolved))
    reporter = TensorBoardConfig().build()
    reporter.start(RunDirectory(path), SimpleNamespace(name=arm), first)  # type: ignore[arg-type]
    return reporter


def whole_run(folder: Path, arm: str, seed: int, loss: float, settings: dict[str, Any]) -> None:
    reporter = started(folder, arm, seed, settings)
    for step in range(1, 6):
        reporter.log(step, {"train/mlm_loss": loss + 1 / step, "optim/lr": 1e-3})
    reporter.log(5, {"eval/cloze_loss": loss})
    reporter.finish("done", {"eval/cloze_loss": loss})


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms of two and three seeds; a resumed run; a failed one; two trials of one search."""
    folder = tmp_path_factory.mktemp("runs") / "rate"
    token = {"masking": {"name": "token", "rate": 0.15}, "train": {"pack": True, "limit": None}}
    none = {"objectives": ["ar_forward", "mlm"], "masking": {"name": "none"}}
    for seed, loss in enumerate((3.0, 4.0)):
        whole_run(folder, "token-15", seed, loss, token)
    for seed, loss in enumerate((5.0, 6.0, 8.5)):
        whole_run(folder, "forward", seed, loss, none)

    cut = started(folder, "resumed", 0, none)
    for step in range(1, 10):
        cut.log(step, {"train/loss": 9.0})
    cut.finish("interrupted", {})
    again = started(folder, "resumed", 0, none, first=7)
    for step in range(7, 12):
        again.log(step, {"train/loss": 1.0})
    again.finish("done", {})

    started(folder, "broken", 0, none).finish("failed", {})
    for trial in (0, 1):
        reporter = started(folder, "searched", 0, none, trial=f".trial-{trial}")
        reporter.finish("done", {})
    return folder


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


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{url}/data/plugin/{path}", data, {"Content-Type": "application/json"})
    with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
        return json.load(answer)


def session_groups(url: str) -> dict[str, Any]:
    """The rows of the HParams table, once the server has read them all."""
    wanted = ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"]
    body = {
        "experimentName": "",
        "allowedStatuses": wanted,
        "colParams": [],
        "startIndex": 0,
        "sliceSize": 99,
        "aggregationType": "AGGREGATION_AVG",
        "includeMetrics": True,
    }
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        groups = ask(url, "hparams/session_groups", body)["sessionGroups"]
        ended = sum("endTimeSecs" in s for g in groups for s in g["sessions"])
        if ended == 9:
            return {group["name"]: group for group in groups}
        time.sleep(0.2)
    raise AssertionError(f"TensorBoard found only {groups}")


@pytest.mark.parametrize("loader", LOADERS)
def test_tensorboard_shows_one_row_per_arm_or_trial_and_no_point_twice(
    logs: Path, loader: str
) -> None:
    with served(logs, loader) as url:
        rows = session_groups(url)
        arms = ("token-15", "forward", "resumed", "broken")
        trials = ("searched.trial-0", "searched.trial-1")
        assert rows.keys() == {f"rate/{name}" for name in (*arms, *trials)}

        forward = rows["rate/forward"]
        names = [session["name"] for session in forward["sessions"]]
        assert names == ["forward/seed-0", "forward/seed-1", "forward/seed-2"]
        averages = {m["name"]["tag"]: m["value"] for m in forward["metricValues"]}
        assert averages["eval/cloze_loss"] == pytest.approx(6.5)

        # Arms with other settings keep their own columns, and a boolean stays one.
        assert forward["hparams"] == {
            "objectives": "ar_forward, mlm",
            "masking.name": "none",
        }
        expected = {"masking.name": "token", "masking.rate": 0.15, "train.pack": True}
        assert rows["rate/token-15"]["hparams"] == expected

        statuses = {name: row["sessions"][0]["status"] for name, row in rows.items()}
        assert statuses["rate/broken"] == "STATUS_FAILURE"
        assert statuses["rate/resumed"] == statuses["rate/forward"] == "STATUS_SUCCESS"

        query = urlencode({"run": "resumed/seed-0", "tag": "train/loss"})
        points = ask(url, f"scalars/scalars?{query}")
        assert [(step, value) for _, step, value in points] == [
            (step, 9.0 if step < 7 else 1.0) for step in range(1, 12)
        ]


def test_the_plugin_registers_its_reporter_without_importing_torch() -> None:
    code = "import sys, clozebox_tensorboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert [config.name for config in register_reporters()] == ["tensorboard"]
