from collections.abc import Callable
from pathlib import Path

import pytest

from clozebox.config import ConfigError, Experiment, Sandbox, load_experiment
from clozebox.plugin_loading import local_candidates
from clozebox.registry import Registry, registry_of

GROUND = """\
corpus = "lines"
objectives = ["mlm"]
masking = { name = "token", rate = 0.15 }
budget.steps = 11
"""


@pytest.fixture(scope="session")
def registry() -> Registry:
    (fakes,) = local_candidates(Path(__file__).with_name("fakes.py"))
    return registry_of(fakes.load())


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(root=tmp_path, runs=tmp_path / "runs", cache=tmp_path / "cache")


Load = Callable[..., Experiment]


@pytest.fixture
def load(tmp_path: Path, registry: Registry, sandbox: Sandbox) -> Load:
    """Load a text as an experiment: `load(text, *overrides)`."""

    def load(text: str, *overrides: str, sandbox: Sandbox = sandbox) -> Experiment:
        path = tmp_path / "question.toml"
        path.write_text(text)
        return load_experiment(path, registry, overrides, sandbox)

    return load


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """The problems of a text, with `question.toml` for the file's whole path."""

    def problems(text: str, *overrides: str, sandbox: Sandbox | None = None) -> list[str]:
        chosen = {} if sandbox is None else {"sandbox": sandbox}
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides, **chosen)
        return [line.replace(f"{tmp_path}/", "") for line in caught.value.problems]

    return problems


@pytest.fixture
def ground() -> str:
    """An experiment with nothing wrong, of four lines."""
    return GROUND
