"""A trained run is opened by its place or its name, with the plugins it was trained with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.core.report.synthetic import write_run

from clozebox.cli.context import PluginOptions
from clozebox.cli.trained_run import find_run, open_run
from clozebox.errors import UserError

Clozebox = Callable[..., int]
NAME = "rate/base/seed-0"
SIZE = """
from clozebox import SizePreset, hookimpl
@hookimpl
def register_size_presets():
    return [SizePreset(name="{}", num_hidden_layers=3, hidden_size=10, num_attention_heads=2)]
"""


def plugin(path: Path, size: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(SIZE.format(size))
    return path


@pytest.fixture
def run(folder: Path) -> Path:
    """A run that was trained with `own.py` and without the plugin `other`."""
    path = write_run(folder / "runs" / "rate", "base", 0, [3.25])
    resolved = json.loads((path / "resolved.json").read_text())
    resolved |= {"plugins": [str(plugin(folder / "own.py", "own_size"))], "disabled": []}
    (path / "resolved.json").write_text(json.dumps(resolved))
    return path


def test_a_run_is_found_by_its_folder_and_by_its_name(run: Path) -> None:
    assert find_run(NAME).path.samefile(run)
    assert find_run(f"runs/{NAME}").path.samefile(run)
    for wrong in ("rate/base/seed-7", str(run / "status.json"), "runs/rate"):
        with pytest.raises(UserError, match=r"is not a run: neither it nor .* holds a resolved"):
            find_run(wrong)


def test_a_run_is_opened_with_its_own_plugins_and_not_the_sandboxs(run: Path, folder: Path) -> None:
    plugin(folder / "sandboxs.py", "sandbox_size")
    (folder / "sandbox.toml").write_text('[plugins]\npaths = ["sandboxs.py"]\n')
    assert open_run(NAME).registry.names("size preset") == ("own_size",)


def test_what_the_run_was_trained_without_stays_out_unless_p_says_so(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = json.loads((run / "resolved.json").read_text())
    (run / "resolved.json").write_text(json.dumps(resolved | {"disabled": ["own"]}))
    assert open_run(NAME).registry.names("size preset") == ()
    monkeypatch.setattr(PluginOptions, "given", lambda: PluginOptions(enable=("own",)))
    assert open_run(NAME).registry.names("size preset") == ("own_size",)


def test_a_plugin_that_has_gone_is_named_and_p_says_where_it_is(
    run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own.py").unlink()
    with pytest.raises(UserError, match=r"own\.py, which is no longer there; .* with -p"):
        open_run(NAME)
    moved = plugin(folder / "elsewhere" / "own.py", "moved_size")
    monkeypatch.setattr(PluginOptions, "given", lambda: PluginOptions(paths=(moved,)))
    assert open_run(NAME).registry.names("size preset") == ("moved_size",)


@pytest.mark.parametrize("command", [("evaluate",), ("fill", "a [MASK]"), ("export", "out")])
def test_the_commands_on_a_trained_run_open_it_so(
    run: Path,
    folder: Path,
    clozebox: Clozebox,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    (folder / "own.py").unlink()
    name, *rest = command
    assert clozebox(name, NAME, *rest, plugin=None) == 2
    assert "which is no longer there" in capsys.readouterr().err
