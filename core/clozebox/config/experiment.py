"""Reads an experiment: layers, arms, seeds and sweep, with every problem told at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clozebox.config.arms import settings_of
from clozebox.config.build import ARM_KEYS, HOMES, Resolved, resolve_arm
from clozebox.config.layers import Table
from clozebox.config.locate import TomlFile, read_toml
from clozebox.config.overrides import parse_override
from clozebox.config.problems import Problems, show
from clozebox.config.sandbox import Sandbox, find_sandbox
from clozebox.config.search import searched
from clozebox.config.settings import Experiment, Plan
from clozebox.registry import Registry

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PLAN_KEYS = ("seeds", "factor", "sweep")
NOT_AN_ARMS = "belongs to the experiment, not to one arm: all arms share it"


@dataclass(frozen=True)
class Reading:
    """An experiment, and for each arm the table of what was given, with origins."""

    experiment: Experiment
    tables: Mapping[str, Table]


def load_experiment(
    path: Path | str,
    registry: Registry,
    overrides: Sequence[str] = (),
    sandbox: Sandbox | None = None,
) -> Experiment:
    """The experiment in a TOML file, with ``--set`` overrides laid over every arm.

    Without ``sandbox``, the one around the file is used. Raises `ConfigError` with all problems.
    """
    return read_experiment(path, registry, overrides, sandbox).experiment


def read_experiment(
    path: Path | str,
    registry: Registry,
    overrides: Sequence[str] = (),
    sandbox: Sandbox | None = None,
) -> Reading:
    """As `load_experiment`, and keeps where each setting came from."""
    path = Path(path)
    file = read_toml(path)
    sandbox = sandbox or find_sandbox(path.parent)
    problems = Problems()
    defaults = Table(sandbox.defaults, dict(sandbox.origins))
    ground = file.table(leave_out=("arm",))
    sets = [parse_override(text) for text in overrides]
    for layer in (defaults, ground, *sets):
        problems.unknown_keys(layer, (*ARM_KEYS, *PLAN_KEYS), HOMES)
    base = ground.over(Table(defaults.values, defaults.origins, ground.otherwise))
    shared = _stack(base, sets)
    if not NAME.fullmatch(path.stem):
        problems.add(f"{path}:1", (), _bad_name("the experiment's name (its file's)", path.stem))
    arms = {
        name: resolve_arm(name, _stack(layer.over(_at(base, layer)), sets), registry, problems)
        for name, layer in _arm_layers(file, problems).items()
    }
    _tell_idle(arms.values(), defaults, problems)
    _tell_twins(arms, file, problems)
    given = Table(_only(shared, "seeds", "factor"), shared.origins, shared.otherwise)
    plan = problems.settings(Plan, given, ())
    sweep = searched(shared, defaults, [arm.arm for arm in arms.values()], registry, problems)
    plan = problems.settled(plan)
    experiment = Experiment(
        name=path.stem,
        question=question_of(file.text),
        path=path,
        given=file.text,
        arms=tuple(resolved.arm for resolved in arms.values() if resolved.arm is not None),
        seeds=plan.seeds,
        sweep=problems.settled(sweep),
        settings=shared.values,
        factor=(plan.factor,) if isinstance(plan.factor, str) else plan.factor,
    )
    return Reading(experiment, {name: resolved.table for name, resolved in arms.items()})


def question_of(text: str) -> str:
    """The leading comment lines of a file, as one line."""
    words: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("#:"):  # a directive such as `#:schema schema.json`
            words += line.lstrip("#").split()
    return " ".join(words)


def _stack(base: Table, layers: Sequence[Table]) -> Table:
    for layer in layers:
        base = layer.over(base)
    return base


def _at(base: Table, layer: Table) -> Table:
    """The base as seen from an arm: what nobody gave is missing there."""
    return Table(base.values, base.origins, layer.otherwise)


def _only(table: Table, *keys: str) -> dict[str, Any]:
    return {key: table.values[key] for key in keys if key in table.values}


def _bad_name(what: str, name: object) -> str:
    return (
        f"{what} must be 1 to 100 letters, digits, '.', '_' or '-', "
        f"beginning with a letter or digit (got {show(name)})"
    )


def _arm_layers(file: TomlFile, problems: Problems) -> dict[str, Table]:
    """The arms by name, each a layer of its own; without `[[arm]]`, one that is called base."""
    if "arm" not in file.values:
        return {"base": Table({}, otherwise=file.origin(()))}
    given, layers = file.values["arm"], {}
    if not isinstance(given, list) or not all(isinstance(arm, dict) for arm in given) or not given:
        text = f"must be tables, each begun with [[arm]] (got {show(given)})"
        problems.add(file.origin(("arm",)), ("arm",), text)
        return {}
    for index, arm in enumerate(given):
        layer = file.table(("arm", index), leave_out=("name",))
        name, origin = arm.get("name"), file.origin(("arm", index, "name"))
        if name is None:
            problems.add(origin, ("arm", "name"), "must be given: every arm has a name")
        elif not isinstance(name, str) or not NAME.fullmatch(name):
            problems.add(origin, ("arm", "name"), _bad_name("it", name))
        elif name in layers:
            problems.add(origin, ("arm", "name"), f"another arm is named '{name}' already")
        problems.unknown_keys(layer, ARM_KEYS, {**HOMES, **dict.fromkeys(PLAN_KEYS, NOT_AN_ARMS)})
        # An arm whose name is wrong is checked all the same, under a name nobody can give.
        layers[name if isinstance(name, str) and name not in layers else f"[{index}]"] = layer
    return layers


def _tell_idle(arms: Collection[Resolved], defaults: Table, problems: Problems) -> None:
    """A given setting that no arm reads is an error, unless the whole checkout shares it."""
    read: set[tuple[Any, str]] = set()
    for resolved in arms:
        read |= set(resolved.table.origins.items())
    for resolved in arms:
        for path, origin, reason in resolved.idle:
            if (path, origin) not in read and defaults.origins.get(path) != origin:
                problems.add(origin, path, reason)


def _tell_twins(arms: Mapping[str, Resolved], file: TomlFile, problems: Problems) -> None:
    """Two arms that are the same choice can only differ by mistake."""
    seen: dict[str, Any] = {}
    for index, (name, resolved) in enumerate(arms.items()):
        if resolved.arm is None:
            continue
        settings = settings_of(resolved.arm)
        for other, others in seen.items():
            if settings == others:
                text = f"arm '{name}' is the same as arm '{other}': every resolved setting is equal"
                problems.add(file.origin(("arm", index)), ("arm",), text)
        seen[name] = settings
