"""The house keeps its rules, and each rule catches the fault it is there for."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import house

from clozebox.registry import load_registry

HOUSE = Path(__file__).resolve().parents[1]
PLUGINS = sorted(path.parent.name for path in (HOUSE / "plugins").glob("*/__init__.py"))
Rule = Callable[[Path], list[str]]


@functools.cache
def present(rule: Rule) -> list[str]:
    """What a rule finds in the house as it stands."""
    return rule(HOUSE)


RULES: list[Rule] = [
    house.core_knows_no_plugin,
    house.plugins_import_what_is_public,
    house.light_modules_stay_light,
    house.imports_go_down,
    house.folders_are_declared,
    house.files_are_short_and_named,
    house.nothing_dangerous,
    house.every_room_has_a_readme,
    house.every_hook_is_in_the_readme,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule) -> None:
    assert present(rule) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The house, to plant faults in."""
    unread = shutil.ignore_patterns("__pycache__")
    for room in ("core", "plugins"):
        shutil.copytree(HOUSE / room, tmp_path / room, ignore=unread)
    for room in ("experiments", "tests"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "README.md").touch()
    shutil.copy(HOUSE / "pyproject.toml", tmp_path)
    return tmp_path


LATER = "def later() -> None:\n    "
FAULTS: list[tuple[Rule, str, str, str]] = [  # rule, file, what is added to it, what is said
    (house.core_knows_no_plugin, "core/clozebox/data/x.py", "import clozebox_mlm", "imports the"),
    (house.core_knows_no_plugin, "core/clozebox/x.py", f"{LATER}import clozebox_ar.x", "imports"),
    (house.core_knows_no_plugin, "core/clozebox/x.py", "NAME = 'clozebox_nsp'", "names the plugin"),
    (
        house.plugins_import_what_is_public,
        "plugins/clozebox_mlm/x.py",
        "from clozebox.training.loop import Loop",
        "clozebox.training.loop is not public",
    ),
    (
        house.plugins_import_what_is_public,
        "plugins/clozebox_mlm/x.py",
        f"{LATER}from clozebox import config",
        "clozebox.config is not public",
    ),
    (
        house.plugins_import_what_is_public,
        "plugins/clozebox_nsp/x.py",
        "from clozebox_mlm import objective",
        "clozebox_mlm.objective is not public",
    ),
    (house.light_modules_stay_light, "core/clozebox/cli/x.py", "import torch", "loads torch"),
    (
        house.light_modules_stay_light,
        "plugins/clozebox_mlm/__init__.py",
        "from clozebox_mlm import objective",
        "importing clozebox_mlm > clozebox_mlm.objective loads torch",
    ),
    (
        house.light_modules_stay_light,
        "core/clozebox/config/settings.py",
        "if True:\n    from numpy import array",
        "loads numpy",
    ),
    (
        house.imports_go_down,
        "core/clozebox/model/x.py",
        f"{LATER}from clozebox.training import Reporter",
        "model imports training, which is above it",
    ),
    (
        house.imports_go_down,
        "core/clozebox/errors.py",
        "from clozebox import config",
        "the ground floor imports config",
    ),
    (house.imports_go_down, "core/clozebox/attic/__init__.py", "", "attic has no place"),
    (house.folders_are_declared, "plugins/clozebox_new/__init__.py", "", "has no entry point"),
    (house.files_are_short_and_named, "core/clozebox/x.py", "\n" * 299 + "x = 1", "301 lines"),
    (house.files_are_short_and_named, "plugins/clozebox_ar/utils.py", "", "does not say"),
    (house.nothing_dangerous, "core/clozebox/x.py", "import pickle", "pickle runs code"),
    (house.nothing_dangerous, "core/clozebox/x.py", f"{LATER}torch.load(p)", "torch.load"),
    (house.nothing_dangerous, "core/clozebox/x.py", f"{LATER}run('x', shell=True)", "shell=True"),
    (house.nothing_dangerous, "core/clozebox/x.py", f"{LATER}sys.path.insert(0, '')", "sys.path"),
    (house.nothing_dangerous, "core/clozebox/x.py", "HOME = os.environ['HOME']", "environment"),
    (house.every_room_has_a_readme, "core/clozebox/attic/__init__.py", "", "attic: no README"),
    (
        house.every_hook_is_in_the_readme,
        "core/clozebox/hookspecs.py",
        "def register_moods() -> list[str]: ...",
        "lacks `register_moods() -> list[str]`",
    ),
    (
        house.every_hook_is_in_the_readme,
        "plugins/README.md",
        "`register_moods() -> list[str]`",
        "invents `register_moods() -> list[str]`",
    ),
]


@pytest.mark.parametrize(
    ("rule", "file", "fault", "said"),
    FAULTS,
    ids=[f"{rule.__name__}-{said.replace(' ', '_')}" for rule, _, _, said in FAULTS],
)
def test_a_fault_is_caught(rule: Rule, file: str, fault: str, said: str, copy: Path) -> None:
    target = copy / file
    target.parent.mkdir(exist_ok=True)
    with target.open("a") as source:
        source.write(f"\n{fault}\n" if fault else "")
    new = [finding for finding in rule(copy) if finding not in present(rule)]
    assert any(said in finding for finding in new), new


@pytest.mark.parametrize(
    "innocent",
    [
        "if TYPE_CHECKING:\n    import torch",
        f"{LATER}import torch",
        "class Lazy:\n    def build(self):\n        from clozebox_mlm.objective import X",
    ],
)
def test_what_costs_nothing_at_import_is_allowed(innocent: str, copy: Path) -> None:
    before = house.light_modules_stay_light(copy)
    with (copy / "plugins/clozebox_mlm/__init__.py").open("a") as source:
        source.write(f"\n{innocent}\n")
    assert house.light_modules_stay_light(copy) == before


def test_a_plugin_folder_that_is_gone_is_missed(copy: Path) -> None:
    shutil.rmtree(copy / "plugins/clozebox_nsp")
    assert house.folders_are_declared(copy) == ["pyproject.toml names clozebox_nsp; no such plugin"]


def test_what_is_declared_is_installed() -> None:
    installed = importlib.metadata.distribution("clozebox").entry_points.select(group="clozebox")
    names = sorted(entry.value for entry in installed)
    assert names == PLUGINS, "run ./sandbox setup: the environment is older than pyproject.toml"


def test_light_modules_load_nothing_heavy() -> None:
    light = [name for name in house.read(HOUSE) if house.is_light(name)]
    program = f"""
import importlib, sys
for name in {light}:
    importlib.import_module(name)
print(*sorted({house.HEAVY} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize("name", PLUGINS)
def test_without_one_plugin_the_others_load(name: str) -> None:
    entry = name.removeprefix("clozebox_")
    states = {plugin.name: plugin.state for plugin in load_registry(disable=[entry]).plugins}
    ours = {other: states[other.removeprefix("clozebox_")] for other in PLUGINS}
    assert ours == {other: "disabled" if other == name else "active" for other in PLUGINS}


DELETE_EACH = """
import importlib.metadata, json, os, sys
from clozebox.registry import load_registry

states = {}
for name in sorted(os.listdir("plugins")):
    if not os.path.isdir(f"plugins/{name}"):
        continue
    os.rename(f"plugins/{name}", "away")
    for module in [m for m in sys.modules if m.startswith("clozebox_")]:
        del sys.modules[module]
    importlib.invalidate_caches()
    plugins = [p for p in load_registry().plugins if p.distribution == "clozebox"]
    states[name] = {p.name: p.state for p in plugins}
    os.rename("away", f"plugins/{name}")
print(json.dumps(states))
"""


def test_any_plugin_folder_can_be_deleted(copy: Path) -> None:
    """In a copy, without the .pth that leads to this checkout (-S), each folder goes in turn."""
    search = f"import sys; sys.path += {['core', 'plugins', sysconfig.get_path('purelib')]}\n"
    done = subprocess.run(
        [sys.executable, "-S", "-c", search + DELETE_EACH],
        cwd=copy,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name, states in json.loads(done.stdout).items():
        gone = name.removeprefix("clozebox_")
        assert {entry for entry, state in states.items() if state != "active"} == {gone}
