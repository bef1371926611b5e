"""An arm from a table, a table from an arm, and an arm with something changed."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from clozebox.config.build import ARM_KEYS, HOMES, resolve_arm
from clozebox.config.layers import KeyPath, Table
from clozebox.config.overrides import origins_of, override_table
from clozebox.config.problems import Problems, show
from clozebox.config.readers import LISTS, idle
from clozebox.config.settings import Arm
from clozebox.registry import Registry

NOT_THE_RESULT: tuple[KeyPath, ...] = (
    ("speed",),
    ("reporters",),
    ("reporter",),
    ("train", "log_every"),
    ("train", "checkpoint_every"),
    ("train", "keep_checkpoints"),
)
"""What never changes a run's result, and so is no part of an arm's fingerprint."""


def arm_of(name: str, settings: Mapping[str, Any], registry: Registry) -> Arm:
    """The arm that a resolved table describes. Raises `ConfigError` with all that is wrong."""
    origin = f"arm '{name}'"
    table = Table(copy.deepcopy(dict(settings)), origins_of(settings, origin), origin)
    return _resolved(name, table, registry)


def with_overrides(arm: Arm, values: Mapping[str, Any], registry: Registry) -> Arm:
    """The arm with some settings changed, such as ``{"optim.lr": 1e-3, "size": "mini"}``.

    Raises `ConfigError` with all that is wrong, a key that the arm does not read included.
    """
    base = settings_of(arm)
    # Only what the preset says itself: what follows from it must follow from the new value.
    base["size"] = arm.model.size.model_dump(mode="json", exclude_unset=True)
    origin = ", ".join(f"{key} = {show(value)}" for key, value in values.items())
    changed = override_table(values, f"{origin} in arm '{arm.name}'").over(Table(base))
    return _resolved(arm.name, changed, registry)


def settings_of(arm: Arm) -> dict[str, Any]:
    """Every setting the arm reads, under the keys of the TOML and fit for JSON."""
    settings: dict[str, Any] = {
        "size": arm.model.size.model_dump(mode="json"),
        "corpus": arm.data.corpus.settings(),
        "tokenizer": arm.data.tokenizer.model_dump(mode="json", exclude_none=True),
        "embedding": arm.model.embedding.settings(),
        "encoder": arm.model.encoder.settings(),
        "masking": arm.masking.settings() if arm.masking else {"name": "none"},
    }
    for plural, option, _ in LISTS:
        chosen = getattr(arm, plural)
        settings[plural] = [component.name for component in chosen]
        settings[option] = {
            component.name: component.model_dump(mode="json", exclude_none=True)
            for component in chosen
        }
    if arm.phases:
        settings["phase"] = [phase.model_dump(mode="json") for phase in arm.phases]
    for section in ("budget", "train", "optim", "speed"):
        settings[section] = getattr(arm, section).model_dump(mode="json", exclude_none=True)
    table = Table(settings)
    for path, _ in tuple(idle(table, [type(objective) for objective in arm.objectives])):
        table = table.without(path)
    return table.values


def fingerprint(arm: Arm) -> str:
    """SHA-256 of every setting that can change the arm's result.

    How fast it is reached, how often it is logged or saved, and who is told are left out: they may
    change while a run is made. ``train.evals`` is in, because a sweep prunes by evaluations.
    """
    table = Table(settings_of(arm))
    for path in NOT_THE_RESULT:
        table = table.without(path)
    return hashlib.sha256(json.dumps(table.values, sort_keys=True).encode()).hexdigest()


def _resolved(name: str, table: Table, registry: Registry) -> Arm:
    problems = Problems()
    problems.unknown_keys(table, ARM_KEYS, HOMES)
    resolved = resolve_arm(name, table, registry, problems)
    for path, origin, reason in resolved.idle:
        if path in table.origins:
            problems.add(origin, path, reason)
    return problems.settled(resolved.arm)
