"""Local files, folders and installed distributions as plugins; none stops the others."""

import sys
from pathlib import Path

import pytest

from clozebox import registry
from clozebox.errors import UserError
from clozebox.registry import PluginInfo, Registry, load_registry

WEE = "SizePreset(name='wee', num_hidden_layers=1, hidden_size=6, num_attention_heads=3)"
GOOD = f"""
from clozebox import SizePreset, hookimpl
@hookimpl
def register_size_presets():
    return [{WEE}]
"""


def only(found: Registry) -> PluginInfo:
    (info,) = found.plugins
    return info


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no plugin were installed."""
    monkeypatch.setattr(registry, "installed_candidates", list)


def test_a_local_file_is_a_plugin_under_a_name_that_stays(tmp_path: Path, alone: None) -> None:
    path = tmp_path / "my-idea.py"
    path.write_text(GOOD)
    first, second = (load_registry(paths=[path]) for _ in range(2))
    assert only(first).name == "my_idea"
    assert only(first).module == "clozebox_local_my_idea"
    assert only(first).distribution == str(path)
    assert first.get("size preset", "wee") == second.get("size preset", "wee")
    assert sys.modules["clozebox_local_my_idea"].__file__ == str(path)


def test_a_local_package_may_import_from_itself(tmp_path: Path, alone: None) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("from .presets import register_size_presets\n")
    (package / "presets.py").write_text(GOOD)
    assert load_registry(paths=[package]).names("size preset") == ("wee",)


def test_a_folder_of_local_plugins_is_loaded_file_by_file(tmp_path: Path, alone: None) -> None:
    (tmp_path / "alpha.py").write_text(GOOD)
    (tmp_path / "beta.py").write_text("import absent_module\n")
    (tmp_path / "_hidden.py").write_text("raise RuntimeError\n")
    alpha, beta = load_registry(paths=[tmp_path]).plugins
    assert (alpha.state, beta.state) == ("active", "broken")
    assert beta.cause is not None
    assert beta.cause.startswith("ModuleNotFoundError: No module named 'absent_module'")
    assert f"{tmp_path}/beta.py:1" in beta.cause
    assert "clozebox_local_beta" not in sys.modules


@pytest.mark.parametrize("source", ["def (:", "raise SystemExit(3)", "raise KeyError('x')", "\0"])
def test_a_file_that_cannot_be_imported_is_broken_with_its_cause(
    tmp_path: Path, alone: None, source: str
) -> None:
    path = tmp_path / "shaky.py"
    path.write_text(source)
    info = only(load_registry(paths=[path]))
    assert info.state == "broken"
    assert info.cause


def test_a_path_that_holds_no_plugin_is_broken(tmp_path: Path, alone: None) -> None:
    info = only(load_registry(paths=[tmp_path / "gone.py"]))
    assert info.cause == f"{tmp_path}/gone.py is neither a .py file nor a folder that holds one"


def test_what_a_plugin_prints_while_it_loads_does_not_reach_stdout(
    tmp_path: Path, alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chatty.py"
    path.write_text(GOOD + "print('hello')\n")
    load_registry(paths=[path])
    assert capsys.readouterr().out == ""


def test_a_disabled_plugin_is_not_imported_and_is_named_when_missed(
    tmp_path: Path, alone: None
) -> None:
    path = tmp_path / "unwanted.py"
    path.write_text("raise SystemExit('imported')")
    found = load_registry(disable=["unwanted"], paths=[path])
    assert only(found).state == "disabled"
    with pytest.raises(UserError, match=r"plugin unwanted .* might have provided it but is disab"):
        found.get("objective", "rtd")


def test_disabling_what_is_not_there_is_an_error(tmp_path: Path, alone: None) -> None:
    path = tmp_path / "alpha.py"
    path.write_text(GOOD)
    with pytest.raises(UserError, match="no plugin is named 'alpa'.*did you mean 'alpha'"):
        load_registry(disable=["alpa"], paths=[path])


def test_a_second_plugin_of_one_name_is_broken_and_names_the_first(
    tmp_path: Path, alone: None
) -> None:
    paths = [tmp_path / "a" / "same.py", tmp_path / "b" / "same.py"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(GOOD)
    first, second = load_registry(paths=paths).plugins
    assert (first.state, second.state) == ("active", "broken")
    assert second.cause == f"the name is already taken by plugin same ({paths[0]} local)"


def test_strict_loading_raises_what_is_broken(tmp_path: Path, alone: None) -> None:
    path = tmp_path / "shaky.py"
    path.write_text("import absent_module")
    with pytest.raises(UserError, match="plugin shaky .* is broken: ModuleNotFoundError"):
        load_registry(paths=[path], strict=True)


def install(folder: Path, name: str, entry_points: str, files: dict[str, str]) -> None:
    """A distribution as pip leaves it: modules and a dist-info folder."""
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(entry_points)
    for file, source in files.items():
        (folder / file).write_text(source)


def test_installed_plugins_are_found_in_an_order_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "x", "zeta", "[clozebox]\nalpha = zeta_mod\n", {"zeta_mod.py": GOOD})
    install(tmp_path / "y", "beta", "[clozebox]\nbeta = beta_mod\n", {"beta_mod.py": "import nope"})
    install(tmp_path / "y", "gamma", "[clozebox]\nthis is no entry\n", {})
    orders = []
    for folders in (["x", "y"], ["y", "x"]):
        monkeypatch.setattr(sys, "path", [str(tmp_path / folder) for folder in folders] + sys.path)
        infos = load_registry().plugins
        ours = [i for i in infos if i.distribution in {"zeta", "beta", "gamma"}]
        orders.append([(i.name, i.distribution, i.version, i.state) for i in ours])
        monkeypatch.undo()
    assert orders[0] == orders[1]
    assert orders[0][:2] == [
        ("alpha", "zeta", "1.2", "active"),
        ("beta", "beta", "1.2", "broken"),
    ]
