"""What the rooms' tests share: the toy plugin, an arm made of it, and a run of that arm."""

from __future__ import annotations

import copy
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from clozebox.registry import Registry, load_registry

# Of several test processes each is deaf to Ctrl-C, and what it starts would be so too.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Toy models are faster on one thread, and two would fight over the cores of a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine must not fail a property, and the same code must not fail every tenth time.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

TOY_PLUGIN = Path(__file__).parent / "toy_plugin.py"

TOY_SETTINGS: dict[str, Any] = {
    "size": "toy",
    "embedding": {"name": "toy", "max_position_embeddings": 32},
    "encoder": "toy",
    "corpus": "toy",
    "tokenizer": {"vocab_size": 80},
    "masking": {"name": "toy", "rate": 0.3},
    "objectives": ["hidden"],
    "evaluations": ["own_losses"],
    "budget": {"steps": 12},
    "train": {"batch_size": 6, "seq_length": 20, "log_every": 3, "evals": 2, "held_out": 0.2},
}


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry(paths=[TOY_PLUGIN])


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One token store for all: building it is not what these tests are about."""
    return tmp_path_factory.mktemp("cache")


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        held = result.get(key)
        both = isinstance(held, Mapping) and isinstance(value, Mapping) and "name" not in value
        result[key] = merged(held, value) if both else value
    return {key: value for key, value in result.items() if value is not None}


@pytest.fixture
def make_arm(registry: Registry) -> Callable[..., Any]:
    """``make_arm(train={"batch_size": 4})``: the toy arm with some settings changed."""
    from clozebox.config import arm_of

    def make(with_registry: Registry | None = None, **changes: Any) -> Any:
        return arm_of("toy", merged(TOY_SETTINGS, changes), with_registry or registry)

    return make


@pytest.fixture
def make_run(make_arm: Callable[..., Any], tmp_path: Path, cache: Path) -> Callable[..., Any]:
    """``make_run("name", seed=1, **changes)``: a run directory of the toy arm, not yet trained."""
    from clozebox.config.settings import Experiment, Sweep
    from clozebox.training import RunDirectory

    def make(name: str = "run", seed: int = 0, **changes: Any) -> Any:
        arm = make_arm(**changes)
        experiment = Experiment(
            "toy", "Does it run?", tmp_path / "toy.toml", "", (arm,), (seed,), Sweep(), {}
        )
        return RunDirectory.create(
            tmp_path / name,
            experiment=experiment,
            arm=arm,
            seed=seed,
            cache=cache,
            plugins=[TOY_PLUGIN],
        )

    return make
