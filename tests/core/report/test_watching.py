"""``compare --watch`` and ``--figures``, as a person types them."""

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
from clozebox.errors import UserError
from clozebox.report.watching import follow


def test_a_look_is_taken_when_a_run_has_written_and_not_otherwise(tmp_path: Path) -> None:
    looks: list[int | None] = []

    def look(refresh: int | None) -> str:
        looks.append(refresh)
        if len(looks) == 1:
            raise UserError("there are no runs yet")
        return f"look {len(looks)}"

    told = follow(tmp_path, look, every=0.01)
    assert next(told) == "there are no runs yet\n"
    run = write_run(tmp_path, "a", 0, [3.0])
    assert next(told) == "look 2"
    with (run / "metrics.jsonl").open("a") as log:
        log.write('{"step": 9}\n')
    assert next(told) == "look 3"
    assert looks == [1, 1, 1]


def test_watch_follows_until_ctrl_c_and_leaves_a_page_that_looks_no_more(tmp_path: Path) -> None:
    with training(write_run(tmp_path / "e", "a", 0, [3.0, 2.0], state="running")):
        code = "from clozebox.cli.compare import compare; compare()"
        watcher = subprocess.Popen(
            [sys.executable, "-u", "-c", code, str(tmp_path / "e"), "--watch", "--every", "0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert watcher.stdout is not None
        said = ""
        while "page: " not in said:
            said += watcher.stdout.readline()
        page = tmp_path / "e" / "comparison.html"
        assert '<meta http-equiv="refresh" content="1">' in page.read_text()
        assert "1 in training" in page.read_text()
        os.killpg(watcher.pid, signal.SIGINT)
        output, errors = watcher.communicate(timeout=20)
    assert (watcher.returncode, output.splitlines()[-1], errors) == (0, "stopped", "")
    assert 'http-equiv="refresh"' not in page.read_text()


def test_watch_prints_tables_only(experiment: Path) -> None:
    result = CliRunner().invoke(compare, [str(experiment), "--watch", "--format", "csv"])
    assert result.exit_code == 2 and "no --format" in result.output


def test_every_figure_is_written_as_png_and_as_svg(experiment: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "figures"
    result = CliRunner().invoke(
        compare, [str(experiment), "--figures", str(folder)], catch_exceptions=False
    )
    names = {path.name for path in folder.iterdir()}
    stems = {Path(name).stem for name in names}
    assert stems == {
        *(f"curves-{cost}" for cost in ("steps", "tokens", "flops", "seconds")),
        "differences",
        "metric-eval-cloze_loss",
        "metric-eval-accuracy",
    }
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    assert f"figures: {len(names)} files in {folder}" in result.output
