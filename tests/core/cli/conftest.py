import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clozebox import registry
from clozebox.cli import main

FAKES = Path(__file__).parents[1] / "config" / "fakes.py"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a cache of its own, and no installed plugin."""
    monkeypatch.setattr(registry, "installed_candidates", list)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


Clozebox = Callable[..., int]


@pytest.fixture
def clozebox(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Clozebox:
    """Run a command line with the fake components and return its exit code."""

    def run(*arguments: str, plugin: Path | None = FAKES) -> int:
        chosen = ["-p", str(plugin)] if plugin else []
        monkeypatch.setattr(sys, "argv", ["clozebox", *chosen, *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        assert isinstance(done.value.code, int)
        return done.value.code

    return run
