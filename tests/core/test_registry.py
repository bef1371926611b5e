"""Plugins are found, checked and kept; a broken one stops nothing and is named."""

import subprocess
import sys
import textwrap
from types import ModuleType, SimpleNamespace

import click
import pytest

from clozebox import MaskingConfig, ObjectiveConfig, SizePreset, hookimpl
from clozebox.errors import UserError
from clozebox.registry import PluginInfo, Registry, registry_of

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
