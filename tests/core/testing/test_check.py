"""`plugins check`, and the same as a line in a plugin's own tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clozebox import registry as registry_module
from clozebox.cli import main
from clozebox.registry import load_registry
from clozebox.testing import assert_passes

LEAKY = '''
from clozebox import TokenObjectiveConfig, hookimpl


class LeakyConfig(TokenObjectiveConfig):
    """Predicts each token from itself."""

    name = "leaky"

    def build(self, context):
        from dataclasses import replace
        from clozebox.pretraining import TokenObjective

        class Leaky(TokenObjective):
            def view(self, batch):
                labels = batch.input_ids.masked_fill(batch.special_tokens_mask, -100)
                return replace(batch.plain, labels=labels, max_targets=None)

        return Leaky(self, context)


@hookimpl
def register_objectives():
    return [LeakyConfig]
'''


class Ended(NamedTuple):
    exit_code: int
    output: str


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command line in an empty folder, with no installed plugin."""
    monkeypatch.setattr(registry_module, "installed_candidates", list)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["clozebox", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        told = capfd.readouterr()
        assert isinstance(done.value.code, int)
        return Ended(done.value.code, told.out + told.err)

    return run


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    path = tmp_path / "leaky_plugin.py"
    path.write_text(LEAKY)
    return path


@pytest.mark.parametrize("name", ["hidden", "ahead", "behind", "pair", "toy", "own_losses", "told"])
def test_the_toy_components_are_right(registry: Any, name: str) -> None:
    assert_passes(name, registry=registry)


def test_what_is_wrong_is_named_with_an_example_and_a_cause(leaky: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_passes("leaky", registry=load_registry(paths=[leaky]))
    message = str(caught.value)
    assert "leakage does not hold: no prediction moves when its own answer is changed" in message
    assert "tokens: [CLS]" in message
    assert "usual cause: attention that looks too far" in message


def test_the_command_tells_every_property_and_exits_with_1_when_one_fails(
    cli: Callable[..., Any], leaky: Path
) -> None:
    result = cli("-p", str(leaky), "plugins", "check", "leaky")
    assert result.exit_code == 1
    assert "FAILS leakage" in result.output
    assert "ok    gradients" in result.output
    assert "properties hold" in result.output


def test_the_command_speaks_json(cli: Callable[..., Any], leaky: Path) -> None:
    result = cli("-p", str(leaky), "plugins", "check", "leaky", "--json")
    verdicts = json.loads(result.output)
    failed = [one["name"] for one in verdicts if one["seen"] is not None]
    assert result.exit_code == 1
    assert "leakage" in failed
    assert {one["component"] for one in verdicts} == {"leaky"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["leeky"], "did you mean 'leaky'"),
        (["leaky", "--set", "wight=2"], "wight"),
        (["leaky", "--set", "weight=-1"], "greater than 0"),
        (["leaky", "--kind", "corpus"], "no corpus is named 'leaky'"),
    ],
)
def test_wrong_input_is_told_without_a_traceback(
    cli: Callable[..., Any], leaky: Path, arguments: list[str], told: str
) -> None:
    result = cli("-p", str(leaky), "plugins", "check", *arguments)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


def test_all_that_a_plugin_adds_is_checked(cli: Callable[..., Any], leaky: Path) -> None:
    result = cli("-p", str(leaky), "plugins", "check", "leaky_plugin")
    assert "objective leaky" in result.output
