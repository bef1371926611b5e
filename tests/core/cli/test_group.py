"""The group: lazy, quick, and not to be stopped by a plugin."""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.core.report.synthetic import write_run

from clozebox.cli.group import COMMANDS

Clozebox = Callable[..., int]
Captured = pytest.CaptureFixture[str]

GREETER = """
import click
from clozebox import hookimpl
@hookimpl
def register_commands(cli):
    @cli.command()
    def greet():
        "Say hello."
        click.echo("hello")
"""


def test_help_lists_every_command_of_core_with_a_line_of_help(
    clozebox: Clozebox, capsys: Captured
) -> None:
    assert clozebox("--help", plugin=None) == 0
    told = capsys.readouterr().out
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in told
        assert text in told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_has_its_module(name: str) -> None:
    module, _ = COMMANDS[name]
    assert importlib.util.find_spec(f"clozebox.cli.{module}") is not None


def test_the_command_of_a_plugin_is_listed_and_runs(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    plugin = folder / "greeter.py"
    plugin.write_text(GREETER)
    assert clozebox("--help", plugin=plugin) == 0
    assert "greet  Say hello." in capsys.readouterr().out
    assert clozebox("greet", plugin=plugin) == 0
    assert capsys.readouterr().out == "hello\n"


def test_an_unknown_command_is_bad_input_with_a_suggestion(
    clozebox: Clozebox, capsys: Captured
) -> None:
    assert clozebox("confg") == 2
    assert "No such command 'confg'; did you mean 'config'?" in capsys.readouterr().err


def test_a_name_that_p_cannot_mean_is_bad_input(clozebox: Clozebox, capsys: Captured) -> None:
    assert clozebox("-p", "fakse", "plugins", "list") == 2
    assert "no plugin is named 'fakse'; did you mean 'fakes'?" in capsys.readouterr().err
    assert clozebox("-p", "no:fakse", "plugins", "list") == 2
    assert "no plugin is named 'fakse'" in capsys.readouterr().err
    assert clozebox("-p", "./gone.py", "plugins", "list") == 2
    assert "there is no such file or folder" in capsys.readouterr().err


def test_p_switches_plugins_off_and_on(clozebox: Clozebox, capsys: Captured, folder: Path) -> None:
    clozebox("-p", "no:fakes", "plugins", "list", "--json")
    assert json.loads(capsys.readouterr().out)[0]["state"] == "disabled"
    (folder / "sandbox.toml").write_text('[plugins]\ndisable = ["fakes"]\n')
    clozebox("plugins", "list", "--json")
    assert json.loads(capsys.readouterr().out)[0]["state"] == "disabled"
    clozebox("-p", "fakes", "plugins", "list", "--json")
    assert json.loads(capsys.readouterr().out)[0]["state"] == "active"


def test_plugins_list_says_what_each_adds_and_why_one_is_broken(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    shaky = folder / "shaky.py"
    shaky.write_text("import absent_module\n")
    assert clozebox("-p", str(shaky), "plugins", "list") == 0
    header, fakes, broken = capsys.readouterr().out.splitlines()
    assert header.split() == ["plugin", "state", "distribution", "version", "adds"]
    assert "active" in fakes and "objective: mlm, forward, nsp" in fakes
    assert "broken" in broken and "No module named 'absent_module'" in broken


def test_a_bad_sandbox_file_does_not_stop_help(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    (folder / "sandbox.toml").write_text("[plugins]\ndisable = 3\n")
    assert clozebox("--help", plugin=None) == 0
    assert "plugins.disable: must be a valid array" in " ".join(capsys.readouterr().out.split())
    assert clozebox("plugins", "list", plugin=None) == 2


def test_a_pipe_that_closes_is_no_traceback(tmp_path: Path) -> None:
    code = "import clozebox.cli; clozebox.cli.main()"
    line = f'{sys.executable} -c "{code}" config schema | head -c 10'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == '{\n  "$sche'
    assert done.stderr == ""


def test_a_path_that_cannot_be_written_is_no_traceback(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    write_run(folder / "runs" / "rate", "base", 0, [3.25])
    assert clozebox("compare", "rate", "--html", str(folder)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and str(folder) in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk always full")
def test_a_full_disk_is_no_traceback(tmp_path: Path) -> None:
    code = "import clozebox.cli; clozebox.cli.main()"
    with Path("/dev/full").open("w") as full:
        line = [sys.executable, "-c", code, "config", "schema"]
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: [Errno 28] No space left on device\n")


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **more}


def run_help(tmp_path: Path, **more: str) -> str:
    place = tmp_path / "place"  # in sys.path because of `-m`, so nothing else may change in it
    place.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "clozebox", "--help"],
        capture_output=True,
        text=True,
        cwd=place,
        env=environment(tmp_path, **more),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(folder: Path, source: str) -> None:
    info = folder / "shaky_pack-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shaky-pack\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[clozebox]\nshaky = shaky_module\n")
    (folder / "shaky_module.py").write_text(source)


@pytest.mark.parametrize("source", ["import absent_module", "raise SystemExit(3)", "def (:"])
def test_an_installed_plugin_that_is_broken_is_named_and_does_not_stop_help(
    tmp_path: Path, source: str
) -> None:
    site = tmp_path / "site"
    install(site, source)
    for _ in range(2):  # and is named each time: what is broken is never remembered as fine
        told = " ".join(run_help(tmp_path, PYTHONPATH=str(site)).split())
        assert "Broken plugins" in told
        assert "shaky (shaky-pack 1.2)" in told
        assert COMMANDS["train"][1] in told


def test_the_cache_is_used_and_a_changed_plugin_makes_it_stale(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, GREETER + f"open({str(tmp_path / 'loaded')!r}, 'a').write('x')\n")
    loads = []
    for _ in range(2):
        assert "Say hello." in run_help(tmp_path, PYTHONPATH=str(site))
        loads.append((tmp_path / "loaded").read_text())
    assert loads == ["x", "x"]
    (site / "shaky_module.py").write_text(GREETER.replace("Say hello.", "Say good-bye."))
    assert "Say good-bye." in run_help(tmp_path, PYTHONPATH=str(site))
    (tmp_path / "place" / "sandbox.toml").write_text('[plugins]\ndisable = ["shaky"]\n')
    assert "greet" not in run_help(tmp_path, PYTHONPATH=str(site))


def test_a_cache_that_cannot_be_written_or_read_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert "train" in run_help(tmp_path)
    (tmp_path / "cache").unlink()
    run_help(tmp_path)
    (entry,) = (tmp_path / "cache" / "clozebox").iterdir()
    entry.write_text('["not what it was"]')
    assert "train" in run_help(tmp_path)


def test_help_imports_neither_pydantic_nor_a_search_for_plugins(tmp_path: Path) -> None:
    run_help(tmp_path)
    code = (
        "import sys\nfrom clozebox.cli import main\nsys.argv = ['clozebox', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('FOUND', sorted({'pydantic', 'importlib.metadata', 'torch', 'numpy', 'pluggy'}"
        " & set(sys.modules)))\n"
    )
    for expected in ("FOUND", "FOUND []"):  # `-c` has another path than `-m`: warm, then look
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(tmp_path),
        )
        assert expected in done.stdout


def test_help_takes_at_most_two_and_a_half_times_as_long_as_click_and_pluggy(
    tmp_path: Path,
) -> None:
    lines = {
        "bare": [sys.executable, "-c", "import click, pluggy"],
        "help": [sys.executable, "-m", "clozebox", "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in lines}
    run_help(tmp_path)
    place = tmp_path / "place"
    for _ in range(7):
        for name, line in lines.items():  # interleaved, so that a busy machine slows both
            start = time.perf_counter()
            subprocess.run(
                line, check=True, capture_output=True, cwd=place, env=environment(tmp_path)
            )
            seconds[name].append(time.perf_counter() - start)
    ratio = statistics.median(seconds["help"]) / statistics.median(seconds["bare"])
    assert ratio <= 2.5, seconds
