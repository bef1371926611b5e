"""The bootstrap: what makes a set-up due, which Python it finds, what it says when one fails."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BOOTSTRAP = Path(__file__).resolve().parents[1] / "sandbox"
OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "0",
    "PATH": "/usr/bin:/bin",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing in it but what a set-up reads."""
    (tmp_path / "core/clozebox").mkdir(parents=True)
    (tmp_path / "constraints").mkdir()
    shutil.copy(BOOTSTRAP, tmp_path)
    for name in ("pyproject.toml", "constraints/tested.txt"):
        shutil.copy(BOOTSTRAP.parent / name, tmp_path / name)
    (tmp_path / "README.md").touch()
    return tmp_path


@pytest.fixture
def sandbox(checkout: Path) -> ModuleType:
    """The bootstrap of that checkout, as a module."""
    loader = importlib.machinery.SourceFileLoader("sandbox_bootstrap", str(checkout / "sandbox"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def finish(sandbox: ModuleType, torch: str = "tested", extras: tuple[str, ...] = ("demo",)) -> None:
    """Leave what a finished set-up leaves, without one."""
    (sandbox.VENV / "bin").mkdir(parents=True, exist_ok=True)
    if not sandbox.PYTHON.exists():
        sandbox.PYTHON.symlink_to(sys.executable)
    sandbox.STAMP.write_text(json.dumps(sandbox.describe(torch, list(extras))))


def ready(sandbox: ModuleType, torch: str = "tested", extras: tuple[str, ...] = ("demo",)) -> bool:
    return bool(sandbox.is_ready(sandbox.read_stamp(), sandbox.describe(torch, list(extras))))


def start(checkout: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(checkout / "sandbox"), *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fake_tool(checkout: Path, name: str, body: str) -> None:
    tool = checkout / ".venv/bin" / name
    tool.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{body}\n")
    tool.chmod(0o755)


def test_a_finished_environment_is_ready(sandbox: ModuleType) -> None:
    finish(sandbox, extras=("demo", "plots"))
    assert ready(sandbox, extras=("demo", "plots"))
    assert ready(sandbox, extras=("demo",)), "more extras than wanted are enough"


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints/tested.txt"])
def test_a_changed_file_makes_a_set_up_due(name: str, sandbox: ModuleType, checkout: Path) -> None:
    finish(sandbox)
    with (checkout / name).open("a") as file:
        file.write("# changed\n")
    assert not ready(sandbox)


def test_another_torch_and_more_extras_make_a_set_up_due(sandbox: ModuleType) -> None:
    finish(sandbox)
    assert not ready(sandbox, torch="torch==2.15.0")
    assert not ready(sandbox, extras=("demo", "plots"))


def test_another_python_or_a_moved_checkout_makes_a_set_up_due(sandbox: ModuleType) -> None:
    finish(sandbox)
    stamp = sandbox.read_stamp()
    for place in (["/elsewhere", *stamp["place"][1:]], [stamp["place"][0], "/old/python", False]):
        sandbox.STAMP.write_text(json.dumps({**stamp, "place": place}))
        assert not ready(sandbox)


@pytest.mark.parametrize("harm", ["no stamp", "half a stamp", "no python"])
def test_a_broken_environment_makes_a_set_up_due(harm: str, sandbox: ModuleType) -> None:
    finish(sandbox)
    if harm == "no stamp":
        sandbox.STAMP.unlink()
    elif harm == "half a stamp":
        sandbox.STAMP.write_text('{"place": ')
    else:
        sandbox.PYTHON.unlink()
        sandbox.PYTHON.symlink_to("/no/such/python")
    assert not ready(sandbox)


def test_the_newest_python_that_starts_is_found(sandbox: ModuleType, tmp_path: Path) -> None:
    for minor, code in ((13, 127), (12, 0), (11, 0), (9, 0)):
        shim = tmp_path / f"python3.{minor}"
        shim.write_text(f"#!/bin/sh\necho Python 3.{minor}\nexit {code}\n")
        shim.chmod(0o755)
    assert sandbox.find_python(str(tmp_path)) == str(tmp_path / "python3.12")
    assert sandbox.find_python(str(tmp_path / "core")) is None


def test_a_python_too_old_is_told_what_it_lacks(
    sandbox: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox.sys, "version_info", (3, 9, 18))
    monkeypatch.setenv("PATH", "/nowhere")
    assert sandbox.main(["setup"]) == 1
    assert "needs Python 3.11 or later and this is 3.9.18" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: No matching version for x (from versions: none)", "check the network"),
        ("error: cause: error sending request for url", "check the network"),
        ("OSError: [Errno 28] No space left on device", "make room"),
        ("/usr/bin/python3: No module named pip", "install python3-venv"),
        ("a\nERROR: Cannot install a and b\nERROR: see above", "ERROR: Cannot install a and b\n"),
        ("something else", "setup.log"),
    ],
)
def test_a_failure_is_said_in_one_sentence(output: str, said: str, sandbox: ModuleType) -> None:
    assert said in sandbox.explain(output)


def test_the_chosen_torch_replaces_the_tested_one(sandbox: ModuleType) -> None:
    sandbox.CACHE.mkdir()
    pins = sandbox.constraints("torch==2.15.0").read_text().splitlines()
    assert [pin for pin in pins if pin.startswith("torch==")] == ["torch==2.15.0"]
    assert len(pins) == len(sandbox.PINS.read_text().splitlines())


def test_the_torch_of_this_python_must_be_new_enough(
    sandbox: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.CACHE.mkdir()
    for found, fits in (("", False), ("2.2.1", False), ("2.13.0+cpu", True)):
        monkeypatch.setattr(sandbox, "answer", lambda *_, found=found: found)
        if fits:
            assert f"torch=={found}\n" in sandbox.constraints("system").read_text()
        else:
            with pytest.raises(sandbox.SetupError, match="has no torch >= 2"):
                sandbox.constraints("system")


def test_a_choice_of_torch_is_kept(sandbox: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(sandbox, torch="torch==2.15.0")
    monkeypatch.setattr(sandbox, "alone", lambda: pytest.fail("nothing was due"))
    sandbox.set_up(None, ["demo"])


def test_uv_is_told_where_pip_was_told_to_look(
    sandbox: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels /more/wheels")
    assert sandbox.find_links() == "/wheels,/more/wheels"
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setattr(sandbox, "answer", lambda *_: "global.find-links='/wheels'\nglobal.x='1'")
    assert sandbox.find_links() == "/wheels"


def test_out_of_reach_of_a_registry_it_says_so_and_leaves_no_stamp(checkout: Path) -> None:
    process = start(checkout, "setup", **OFFLINE)
    _, words = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no package registry within reach" in words
    assert "Traceback" not in words
    assert not (checkout / ".venv/.stamp").exists()


def test_interrupted_it_stops_cleanly(checkout: Path) -> None:
    (checkout / "venv.py").write_text("import time\ntime.sleep(60)\n")  # a set-up that takes long
    process = start(checkout, "setup", **{**OFFLINE, "PYTHONPATH": str(checkout)})
    wait_for(checkout / ".cache/setup.log")
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "start again to finish it" in words
    assert "Traceback" not in words


def test_of_two_set_ups_the_second_waits(sandbox: ModuleType, checkout: Path) -> None:
    with sandbox.alone():
        process = start(checkout, "setup", **OFFLINE)
        assert process.stderr is not None
        assert "another set-up is at work" in process.stderr.readline()
        finish(sandbox, extras=tuple(sandbox.EVERYDAY))
    assert process.communicate(timeout=30)[1].startswith("sandbox: ready")
    assert process.returncode == 0


def test_a_command_is_handed_over_with_its_exit_code(sandbox: ModuleType, checkout: Path) -> None:
    finish(sandbox, extras=tuple(sandbox.EVERYDAY))
    fake_tool(checkout, "clozebox", "print(*sys.argv[1:]); sys.exit(7)")
    process = start(checkout, "compare", "a b", "--png")
    assert process.communicate(timeout=30)[0] == "compare a b --png\n"
    assert process.returncode == 7


def test_the_demo_ends_at_the_first_step_that_fails(sandbox: ModuleType, checkout: Path) -> None:
    finish(sandbox, extras=tuple(sandbox.EVERYDAY))
    fake_tool(checkout, "clozebox", "print(sys.argv[1]); sys.exit(3)")
    process = start(checkout, "demo")
    assert process.communicate(timeout=30)[0] == "sweep\n"
    assert process.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_lets_its_step_save(
    number: signal.Signals, sandbox: ModuleType, checkout: Path
) -> None:
    """Ctrl-C reaches both; SIGTERM only the bootstrap, which passes it on."""
    finish(sandbox, extras=tuple(sandbox.EVERYDAY))
    save = "def stop(number, _):\n    time.sleep(0.6)\n    open('saved', 'w')\n"
    save += "    sys.exit(128 + number)\n"
    save += "for s in (signal.SIGINT, signal.SIGTERM):\n    signal.signal(s, stop)\n"
    fake_tool(checkout, "clozebox", f"{save}open('begun', 'w')\ntime.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, str(checkout / "sandbox"), "demo"], start_new_session=True
    )
    wait_for(checkout / "begun")
    send: Any = os.killpg if number == signal.SIGINT else os.kill
    send(process.pid, number)
    assert process.wait(timeout=30) == 128 + number
    assert (checkout / "saved").exists()


def test_every_check_runs_and_pytest_comes_last(sandbox: ModuleType, checkout: Path) -> None:
    finish(sandbox, extras=tuple(sandbox.TESTING))
    for name in ("ruff", "mypy", "pytest"):
        fake_tool(
            checkout, name, f"print({name!r}, *sys.argv[1:]); sys.exit({4 * (name == 'mypy')})"
        )
    process = start(checkout, "test")
    assert process.communicate(timeout=30)[0].splitlines() == [
        "ruff check",
        "ruff format --check",
        "mypy",
        "pytest -n logical --dist worksteal",
    ]
    assert process.returncode == 4
    process = start(checkout, "test", "-k", "masking")
    assert process.communicate(timeout=30)[0] == "pytest -k masking\n"
    assert process.returncode == 0


def test_a_ready_start_costs_little(sandbox: ModuleType, checkout: Path) -> None:
    finish(sandbox, extras=tuple(sandbox.EVERYDAY))
    fake_tool(checkout, "clozebox", "")
    bare, started = ["-c", "pass"], [str(checkout / "sandbox"), "runs"]
    cost = {
        tuple(way): min(seconds([sys.executable, *way]) for _ in range(5))
        for way in (bare, started)
    }
    # Two Pythons start in the second way: the bootstrap and the tool.
    assert cost[tuple(started)] - 2 * cost[tuple(bare)] < 0.2


def seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begun


def wait_for(path: Path, limit: float = 30) -> None:
    deadline = time.monotonic() + limit
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)
