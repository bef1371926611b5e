"""``clozebox compare``, ``runs`` and ``tensorboard`` as a person types them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.core.report.synthetic import training, write_run

from clozebox.cli.compare import compare
from clozebox.cli.runs import runs
from clozebox.errors import UserError


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sandbox with one experiment, where the command is typed."""
    (tmp_path / "sandbox.toml").write_text("")
    for seed in range(2):
        write_run(tmp_path / "runs" / "rate", "base", seed, [3.5 + seed, 3.25])
    write_run(tmp_path / "runs" / "rate", "high", 0, [], index=1, state="running")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["rate", "experiments/rate.toml", "runs/rate"])
def test_an_experiment_is_found_by_name_by_file_and_by_folder(sandbox: Path, given: str) -> None:
    result = CliRunner().invoke(compare, [given], catch_exceptions=False)
    assert result.exit_code == 0
    assert "high has no finished run yet." in result.output
    assert (sandbox / "runs" / "rate" / "comparison.html").exists()


def test_an_unknown_experiment_is_refused_with_those_there_are(sandbox: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)did you mean 'rate'\?.*there are runs of: rate"):
        CliRunner().invoke(compare, ["rates"], catch_exceptions=False)


def test_runs_list_shows_state_step_and_metric_of_each(sandbox: Path) -> None:
    with training(sandbox / "runs/rate/high/seed-0"):
        lines = CliRunner().invoke(runs, ["list"], catch_exceptions=False).output.splitlines()
    base = next(line for line in lines if line.startswith("rate/base/seed-1"))
    assert base.split()[:5] == ["rate/base/seed-1", "done", "14/77", "eval/cloze_loss", "3.2500"]
    assert any(line.startswith("rate/high/seed-0  running") for line in lines)


def test_a_run_whose_process_was_killed_is_shown_as_stopped(sandbox: Path) -> None:
    lines = CliRunner().invoke(runs, ["list"], catch_exceptions=False).output.splitlines()
    assert any(line.startswith("rate/high/seed-0  stopped") for line in lines)
    assert lines[-1] == "stopped: process gone; the same command resumes it"
    shown = CliRunner().invoke(runs, ["show", "rate/high/seed-0"], catch_exceptions=False).output
    assert '  state = "stopped"\n' in shown


def test_runs_show_prints_status_settings_and_last_metrics(sandbox: Path) -> None:
    output = CliRunner().invoke(runs, ["show", "rate/base/seed-0"], catch_exceptions=False).output
    assert "  eval/cloze_loss = 3.25\n" in output
    assert "  optim.lr = 0.001\n" in output
    with pytest.raises(UserError, match="is not a run"):
        CliRunner().invoke(runs, ["show", "rate/base/seed-7"], catch_exceptions=False)


def test_tensorboard_listens_on_this_machine_alone_and_ctrl_c_stops_it(sandbox: Path) -> None:
    code = "from clozebox.cli.tensorboard import tensorboard; tensorboard()"
    server = subprocess.Popen(
        [sys.executable, "-u", "-c", code, "rate", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline().startswith("TensorBoard: http://127.0.0.1:")
    assert "ssh -L" in server.stdout.readline()
    os.killpg(server.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    output, errors = server.communicate(timeout=20)
    assert (server.returncode, output, errors) == (0, "stopped\n", "")
