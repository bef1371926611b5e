"""The wheel holds what the checkout holds: a forgotten plugin or data file is missed here."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

HOUSE = Path(__file__).resolve().parents[1]
CACHE = re.compile(r"(^|/)(\.|__pycache__)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(HOUSE)).build(directory=str(folder), versions=["standard"])
    return Path(built)


def test_the_wheel_holds_core_and_every_plugin(wheel: Path) -> None:
    """Every file of every package, data files and py.typed too, and no folder named core."""
    roots = [HOUSE / "core", HOUSE / "plugins"]
    checkout = {
        path.relative_to(root).as_posix()
        for root in roots
        for path in root.glob("*/**/*")
        if path.is_file() and not CACHE.search(path.relative_to(root).as_posix())
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert checkout - packed == set()
    assert {name.partition("/")[0] for name in packed} == {
        path.name for root in roots for path in root.iterdir() if (path / "__init__.py").exists()
    }


def test_every_package_says_that_it_is_typed() -> None:
    packages = [*(HOUSE / "core").glob("*/__init__.py"), *(HOUSE / "plugins").glob("*/__init__.py")]
    assert [str(p.parent) for p in packages if not (p.parent / "py.typed").exists()] == []


def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked beside the dependencies alone (-S: no .pth), its plugins are found and load."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = f"""
import sys
sys.path += {[str(tmp_path / "site"), sysconfig.get_path("purelib")]}
from clozebox.registry import load_registry
for plugin in load_registry(strict=True).plugins:
    print(plugin.name, plugin.state, plugin.distribution)
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    declared = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [line for line in done.stdout.splitlines() if line.endswith(" clozebox")]
    assert lines == [f"{name} active clozebox" for name in sorted(declared["clozebox"])]


def test_what_was_tested_is_pinned_and_names_no_machine() -> None:
    pins = (HOUSE / "constraints/tested.txt").read_text().splitlines()
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
    wanted = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {pin.partition("==")[0].lower() for pin in pins if not pin.startswith("#")}
    assert {wish.partition(">=")[0].partition("[")[0].lower() for wish in wanted} - names == set()
    assert [pin for pin in pins if not pin.startswith("#") and set(pin) & set("+/@ :")] == []
