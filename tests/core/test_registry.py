"""Plugins are found, checked and kept; a broken one stops nothing and is named."""

import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace

import click
import pytest

from clozebox import MaskingConfig, ObjectiveConfig, SizePreset, hookimpl, registry
from clozebox.errors import UserError
from clozebox.registry import PluginInfo, Registry, load_registry, registry_of

WEE = "SizePreset(name='wee', num_hidden_layers=1, hidden_size=6, num_attention_heads=3)"
GOOD = f"""
from clozebox import SizePreset, hookimpl
@hookimpl
def register_size_presets():
    return [{WEE}]
"""


def module(name: str, source: str) -> ModuleType:
    made = ModuleType(name)
    exec(textwrap.dedent(source), made.__dict__)
    return made


def preset_plugin(
    name: str, hook: str = "register_size_presets", value: str = f"[{WEE}]"
) -> ModuleType:
    header = "from clozebox import SizePreset, MaskingConfig, hookimpl\n@hookimpl\n"
    return module(name, f"{header}def {hook}():\n    return {value}\n")


def only(found: Registry) -> PluginInfo:
    (info,) = found.plugins
    return info


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no plugin were installed."""
    monkeypatch.setattr(registry, "installed_candidates", list)


def test_what_a_plugin_adds_is_found_by_kind_and_name() -> None:
    found = registry_of(preset_plugin("good"))
    assert found.names("size preset") == ("wee",)
    assert found.get("size preset", "wee").hidden_size == 6
    assert only(found).state == "active"
    assert only(found).adds == {"size preset": ("wee",)}


def test_an_unknown_name_is_answered_with_a_suggestion_and_what_there_is() -> None:
    with pytest.raises(UserError) as caught:
        registry_of(preset_plugin("good")).get("size preset", "weee")
    assert str(caught.value) == (
        "no size preset is named 'weee'; did you mean 'wee'? (installed: wee)"
    )


def test_a_name_that_nobody_provides_blames_the_broken_plugin_with_its_cause() -> None:
    broken = preset_plugin("shaky", value="1 / 0")
    with pytest.raises(UserError, match=r"plugin shaky .* is broken: ZeroDivisionError"):
        registry_of(preset_plugin("good"), broken).get("objective", "rtd")


@pytest.mark.parametrize(
    ("hook", "value", "cause"),
    [
        ("register_size_presets", "None", "must return a list, but returned None"),
        ("register_size_presets", "'wee'", "must return a list, but returned str"),
        (
            "register_size_presets",
            "[3]",
            "instances of SizePreset, but one of them is 3",
        ),
        ("register_size_presets", "[SizePreset]", "must return instances of SizePreset"),
        ("register_size_presets", f"[{WEE}, {WEE}]", "returned two things named 'wee'"),
        (
            "register_size_presets",
            f"[{WEE.replace('wee', 'A b')}]",
            "whose name 'A b' is not",
        ),
        ("register_masking_strategies", "[MaskingConfig]", "which does not define build"),
        ("register_objectives", "[MaskingConfig]", "must return subclasses of ObjectiveConfig"),
        (
            "register_size_preset",
            "[]",
            "no hook 'register_size_preset'; did you mean",
        ),
        ("register_corpora", "exit(3)", "SystemExit: 3"),
    ],
)
def test_a_hook_that_is_wrong_breaks_its_plugin_and_no_other(
    hook: str, value: str, cause: str
) -> None:
    found = registry_of(preset_plugin("shaky", hook, value), preset_plugin("good"))
    shaky, good = found.plugins
    assert (shaky.state, good.state) == ("broken", "active")
    assert shaky.cause is not None and cause in shaky.cause
    assert shaky.adds == {}
    assert found.names("size preset") == ("wee",)


def test_a_hook_that_asks_for_what_it_is_not_given_is_broken() -> None:
    plugin = module("m", GOOD.replace("presets()", "presets(registry)"))
    assert "registry" in (only(registry_of(plugin)).cause or "")


def test_masking_cannot_be_called_none() -> None:
    class Nothing(MaskingConfig):
        name = "none"

        def build(self, vocabulary: object) -> object:  # type: ignore[override]
            return None

    plugin = SimpleNamespace(__name__="m", register_masking_strategies=hookimpl(lambda: [Nothing]))
    plugin.register_masking_strategies.__name__ = "register_masking_strategies"
    assert "'none' is not a free" in (only(registry_of(plugin)).cause or "")


def test_a_component_without_a_name_breaks_its_plugin() -> None:
    class Nameless(ObjectiveConfig):
        def build(self, context: object) -> object:  # type: ignore[override]
            return None

    plugin = SimpleNamespace(__name__="m", register_objectives=hookimpl(lambda: [Nameless]))
    assert "whose name None" in (only(registry_of(plugin)).cause or "")


def test_a_name_that_two_plugins_provide_is_refused_and_both_are_named() -> None:
    found = registry_of(preset_plugin("one"), preset_plugin("two"))
    with pytest.raises(UserError, match=r"'wee' is provided by one \(.*\) and two \("):
        found.get("size preset", "wee")
    assert all("'wee' is provided by" in info.warnings[0] for info in found.plugins)


def test_a_module_without_hooks_gets_a_warning() -> None:
    assert only(registry_of(ModuleType("idle"))).warnings == (
        "it has no hooks, so it adds nothing",
    )


def test_a_hook_without_its_mark_gets_a_warning() -> None:
    (warning,) = only(registry_of(module("m", GOOD.replace("@hookimpl", "")))).warnings
    assert warning == "register_size_presets not marked @hookimpl, so never called"


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


COMMANDS = """
import click
from clozebox import hookimpl
@hookimpl
def register_commands(cli):
    cli.add_command(click.Command("greet", help="Say hello."))
    cli.add_command(click.Command("train"))
"""


def test_commands_of_plugins_are_added_and_none_of_core_is_replaced() -> None:
    found = registry_of(module("greeter", COMMANDS))
    cli = click.Group()
    own = click.Command("train")
    cli.add_command(own)
    found.commands(cli)
    assert set(cli.commands) == {"greet", "train"}
    assert cli.commands["train"] is own
    assert only(found).warnings == (
        "command 'train' already belongs to clozebox and is not replaced",
    )


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


def test_the_torch_free_rooms_import_no_heavy_library() -> None:
    code = (
        "import sys, clozebox, clozebox.hookspecs, clozebox.components, clozebox.registry\n"
        "import clozebox.config, clozebox.cli, clozebox.cli.group, clozebox.cli.plugins\n"
        "import clozebox.cli.config\n"
        "heavy = {'torch', 'numpy', 'optuna', 'tensorboard', 'tokenizers'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_size_preset_is_an_instance_and_not_a_class() -> None:
    assert isinstance(registry_of(preset_plugin("p")).get("size preset", "wee"), SizePreset)
