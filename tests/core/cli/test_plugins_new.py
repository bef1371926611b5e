"""`clozebox plugins new` writes plugins that work, and that ruff and mypy have nothing against."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from tests.conftest import TOY_PLUGIN

from clozebox.config import load_experiment, settings_of
from clozebox.registry import KINDS, load_registry
from clozebox.skeletons import plugin_files
from clozebox.skeletons.plugin_files import NewPlugin
from clozebox.testing import assert_passes
from clozebox.training.console import Console
from clozebox.training.run import run_training

Clozebox = Callable[..., int]
Captured = pytest.CaptureFixture[str]
HOUSE = Path(__file__).resolve().parents[3]
ALL = list(plugin_files.KINDS)
TIDES = ["The tide is low. The boats lie dry.", "Rain came at noon. It fell all day."]


def made(folder: Path, single_file: bool) -> dict[str, NewPlugin]:
    """One plugin of each kind, written; names of two words, one of which is the placeholder's."""
    plugins = {k: NewPlugin(f"{k}_skeleton", k, single_file, folder) for k in ALL}
    for plugin in plugins.values():
        plugin.write()
    return plugins


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NewPlugin]:
    return made(tmp_path_factory.mktemp("packages"), single_file=False)


@pytest.fixture(scope="module")
def singles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NewPlugin]:
    return made(tmp_path_factory.mktemp("singles"), single_file=True)


@pytest.fixture(params=["packages", "singles"])
def form(request: pytest.FixtureRequest) -> dict[str, NewPlugin]:
    plugins: dict[str, NewPlugin] = request.getfixturevalue(request.param)
    return plugins


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(24):
        (folder / f"{number}.txt").write_text("\n\n".join(TIDES * (1 + number % 3)))
    return folder


def registry_with(*plugins: NewPlugin) -> Any:
    return load_registry(paths=[TOY_PLUGIN, *(plugin.module for plugin in plugins)], strict=True)


def test_the_kinds_are_those_of_the_registry() -> None:
    assert set(plugin_files.KINDS.values()) <= set(KINDS)
    folders = {
        path.name for path in plugin_files.HERE.iterdir() if (path / "skeleton.toml").exists()
    }
    assert folders == set(ALL)


def test_each_registers_what_it_is_named_after(form: dict[str, NewPlugin]) -> None:
    registry = registry_with(*form.values())
    for kind, plugin in form.items():
        assert plugin.name in registry.names(plugin_files.KINDS[kind])


def test_none_of_them_loads_torch_or_numpy_to_be_listed(form: dict[str, NewPlugin]) -> None:
    program = (
        "import sys; from pathlib import Path; from clozebox.registry import load_registry\n"
        f"load_registry(paths=[Path(p) for p in {[str(p.module) for p in form.values()]}])\n"
        "local = [n for n in sys.modules if n.startswith('clozebox_local_')]\n"
        "print(len(local), {'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "6 set()\n", done.stderr


@pytest.mark.parametrize("kind", ALL)
def test_each_keeps_what_its_kind_promises(
    kind: str, form: dict[str, NewPlugin], texts: Path
) -> None:
    settings = {"folder": str(texts)} if kind == "corpus" else {}
    assert_passes(form[kind].name, settings, registry=registry_with(form[kind]))


def test_all_of_them_train_together(
    form: dict[str, NewPlugin], make_run: Callable[..., Any], texts: Path
) -> None:
    names = {kind: plugin.name for kind, plugin in form.items()}
    registry = registry_with(*form.values())
    run = make_run(
        with_registry=registry,
        size=names["size"],
        corpus={"name": names["corpus"], "folder": str(texts)},
        masking={"name": names["masking"], "rate": 0.3},
        objectives=["hidden", names["objective"]],
        evaluations=[names["task"]],
        reporters=[names["reporter"]],
        budget={"steps": 2},
        train={"log_every": 1},
    )
    assert run_training(run, registry, Console()) == 0
    cosine = run.status()["result"][f"eval/{names['task']}_cosine"]
    assert -1 <= cosine <= 1
    with (run.path / f"{names['reporter']}.csv").open() as file:
        rows = list(csv.reader(file))
    assert {row[0] for row in rows} == {"1", "2"}
    logged = {row[1] for row in rows}
    assert {"train/hidden_loss", f"train/{names['objective']}_accuracy"} <= logged


@pytest.mark.slow
def test_the_tests_that_come_with_a_package_pass_once_it_is_installed(
    packages: dict[str, NewPlugin], tmp_path: Path
) -> None:
    for plugin in packages.values():  # as an editable install leaves it
        info = tmp_path / f"{plugin.distribution.replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {plugin.distribution}\nVersion: 0.1.0\n")
        project = tomllib.loads((plugin.path / "pyproject.toml").read_text())["project"]
        [(entry, module)] = project["entry-points"]["clozebox"].items()
        (info / "entry_points.txt").write_text(f"[clozebox]\n{entry} = {module}\n")
    sources = [str(plugin.module.parent) for plugin in packages.values()]
    tests = [str(plugin.path / "tests") for plugin in packages.values()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", *tests],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sources, str(tmp_path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALL)} passed" in done.stdout


def test_ruff_has_nothing_against_them(
    packages: dict[str, NewPlugin], singles: dict[str, NewPlugin]
) -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache"]
    own = [str(plugin.path) for plugin in packages.values()]  # each by the settings it came with
    house = ["--config", str(HOUSE / "pyproject.toml")]
    others = [str(plugin.path) for plugin in singles.values()]
    for arguments in (own, [*house, *others], [*house, *own]):
        done = subprocess.run([*ruff, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_mypy_has_nothing_against_them(
    packages: dict[str, NewPlugin], singles: dict[str, NewPlugin]
) -> None:
    files = [str(plugin.path / "src") for plugin in packages.values()]
    files += [str(plugin.path / "tests") for plugin in packages.values()]
    files += [str(plugin.path) for plugin in singles.values()]
    # From the house, whose cache of torch's types saves a minute.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *files],
        cwd=HOUSE,
        env={**os.environ, "MYPYPATH": os.pathsep.join(f for f in files if f.endswith("src"))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ALL)
def test_a_package_builds_into_a_wheel_that_is_found(
    kind: str, packages: dict[str, NewPlugin], tmp_path: Path
) -> None:
    plugin = packages[kind]
    (built,) = WheelBuilder(str(plugin.path)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        [entries] = [name for name in names if name.endswith("entry_points.txt")]
        told = archive.read(entries).decode()
    assert f"clozebox_{plugin.name}/py.typed" in names
    assert not [name for name in names if "test" in name]
    assert told.split() == ["[clozebox]", plugin.name, "=", f"clozebox_{plugin.name}"]


def test_nothing_is_left_of_the_placeholder(packages: dict[str, NewPlugin], tmp_path: Path) -> None:
    for kind in ALL:
        for single_file in (True, False):
            files = NewPlugin("two_tides", kind, single_file, tmp_path).files()
            for file, text in files.items():
                assert "skeleton" not in text.lower() and "skeleton" not in file.name
                assert "KIND" not in text and "EXPERIMENT" not in text


@pytest.mark.parametrize("kind", ALL)
def test_the_experiment_that_is_shown_is_one(
    kind: str, packages: dict[str, NewPlugin], tmp_path: Path
) -> None:
    file = tmp_path / "question.toml"
    file.write_text(packages[kind].experiment())
    asked = load_experiment(file, load_registry(paths=[packages[kind].module]))
    assert packages[kind].name in json.dumps(settings_of(asked.arms[0]))
    readme = (packages[kind].path / "README.md").read_text()
    assert packages[kind].experiment() in readme


def test_it_says_what_was_written_and_what_is_next(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    assert clozebox("plugins", "new", "high_tide", "--kind", "masking", plugin=None) == 0
    told = capsys.readouterr().out
    written = [Path(line.split()[1]) for line in told.splitlines() if line.startswith("wrote ")]
    assert sorted(written) == sorted(p.relative_to(folder) for p in files_below(folder))
    commands = [line.split() for line in told.splitlines() if line.startswith("  clozebox ")]
    assert [" ".join(command[3:]) for command in commands] == [
        "plugins check high_tide",
        "show high_tide.toml",
        "train high_tide.toml",
    ]
    for command in commands:
        plugin = Path(command[2])
        assert clozebox("plugins", "list", plugin=plugin) == 0
        assert "masking strategy: high_tide" in capsys.readouterr().out


def files_below(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]


def test_a_single_file_goes_where_it_is_asked_to(clozebox: Clozebox, folder: Path) -> None:
    where = folder / "ideas" / "new"
    line = ("plugins", "new", "low_tide", "--kind", "size", "--single-file", "--folder", str(where))
    assert clozebox(*line, plugin=None) == 0
    assert files_below(folder) == [where / "low_tide.py"]


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("Low-Tide", "size", "'Low-Tide' is no name: lower_snake_case is"),
        ("2d", "size", "'2d' is no name"),
        ("lambda", "size", "'lambda' is no name"),
        ("low tide", "size", "'low tide' is no name"),
        ("../tide", "size", "'../tide' is no name"),
        ("toy", "masking", "there is a masking strategy named 'toy' already"),
        ("none", "masking", "there is a masking strategy named 'none' already"),
        ("toy_plugin", "size", "there is a plugin named 'toy_plugin' already"),
        ("keys", "objective", "'keys' clashes with keys of torch's ModuleDict"),
        ("evaluation", "task", "'evaluation' clashes with EvaluationTask of clozebox"),
    ],
)
@pytest.mark.parametrize("single_file", [True, False])
def test_a_name_that_cannot_be_is_refused(
    clozebox: Clozebox,
    folder: Path,
    capsys: Captured,
    name: str,
    kind: str,
    said: str,
    single_file: bool,
) -> None:
    options = ["--single-file"] if single_file else []
    assert clozebox("plugins", "new", name, "--kind", kind, *options, plugin=TOY_PLUGIN) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert files_below(folder) == []


@pytest.mark.parametrize("single_file", [True, False])
def test_nothing_is_overwritten_and_every_problem_is_told_at_once(
    clozebox: Clozebox, folder: Path, capsys: Captured, single_file: bool
) -> None:
    options = ["--single-file"] if single_file else []
    line = ("plugins", "new", "tide", "--kind", "masking", *options)
    assert clozebox(*line, plugin=None) == 0
    before = {file: file.read_bytes() for file in files_below(folder)}
    capsys.readouterr()
    assert (
        clozebox(*line, plugin=Path("tide.py" if single_file else next(folder.glob("*/src/*"))))
        == 2
    )
    told = capsys.readouterr().err
    assert "there is a masking strategy named 'tide' already" in told
    assert "there is a plugin named" in told
    assert "is there already, and nothing is overwritten" in told
    assert {file: file.read_bytes() for file in files_below(folder)} == before


def test_a_folder_that_is_a_file_is_refused(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    (folder / "file").touch()
    line = ("plugins", "new", "tide", "--kind", "size", "--folder", "file")
    assert clozebox(*line, plugin=None) == 2
    assert "file is not a folder" in capsys.readouterr().err
