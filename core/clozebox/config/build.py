"""Makes an arm of a merged table, or says everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clozebox.components import ObjectiveConfig, Settings, SizePreset
from clozebox.config.combination import check_combination, phases_of
from clozebox.config.layers import SLOTS, KeyPath, Table
from clozebox.config.problems import Problems, show
from clozebox.config.readers import LISTS, check_positions, check_together, idle
from clozebox.config.settings import (
    Arm,
    Budget,
    DataSettings,
    ModelSettings,
    Optim,
    Speed,
    TokenizerSettings,
    Train,
)
from clozebox.errors import UserError
from clozebox.registry import Registry

DEFAULTS = Table(
    {
        "size": {"name": "tiny"},
        "embedding": {"name": "bert"},
        "encoder": {"name": "bert"},
        "masking": {"name": "none"},
        "evaluations": ["held_out", "cloze"],
        "reporters": [],
    }
)
SECTIONS: Mapping[str, type[Settings]] = {
    "tokenizer": TokenizerSettings,
    "budget": Budget,
    "train": Train,
    "optim": Optim,
    "speed": Speed,
}
ARM_KEYS = (
    *SLOTS,
    *SECTIONS,
    "phase",
    *(key for plural, option, _ in LISTS for key in (plural, option)),
)

HOMES = MappingProxyType(
    {
        field: f"unknown key here; did you mean '{section}.{field}'?"
        for section, model in SECTIONS.items()
        for field in model.model_fields
    }
)
"""What to say of a setting that was given outside its table."""


@dataclass(frozen=True)
class Resolved:
    """An arm, the table it was made of, and the given settings that it does not read."""

    arm: Arm | None
    table: Table
    idle: tuple[tuple[KeyPath, str, str], ...]
    """Key path, origin and reason."""


def resolve_arm(name: str, given: Table, registry: Registry, problems: Problems) -> Resolved:
    """Check ``given`` over the defaults and make an arm of it, None if it has problems."""
    table = given.over(Table(DEFAULTS.values, otherwise=given.otherwise))
    found = Problems()
    objectives = _objectives(table, registry)
    unread = tuple((path, table.origin(path), reason) for path, reason in idle(table, objectives))
    for path, _, _ in unread:
        table = table.without(path)
    arm = _build(name, table, registry, found)
    if objectives is not None:
        check_together(table, objectives, found)
    problems.extend(found)
    return Resolved(None if found.lines else arm, table, unread)


def _build(name: str, table: Table, registry: Registry, problems: Problems) -> Arm | None:
    # All parts first, and only then the question whether one is missing: every problem is told.
    size = _size(table, registry, problems)
    corpus = _component(table, "corpus", "corpus", registry, problems)
    embedding = _component(table, "embedding", "embedding", registry, problems)
    encoder = _component(table, "encoder", "encoder", registry, problems)
    has_masking = table.get(("masking", "name")) != "none"
    masking = (
        _component(table, "masking", "masking strategy", registry, problems)
        if has_masking
        else None
    )
    lists = {
        plural: _listed(table, plural, option, kind, registry, problems)
        for plural, option, kind in LISTS
    }
    phases = phases_of(table, problems)
    tokenizer = problems.settings(TokenizerSettings, table, ("tokenizer",))
    budget = problems.settings(Budget, table, ("budget",))
    train = problems.settings(Train, table, ("train",))
    optim = problems.settings(Optim, table, ("optim",))
    speed = problems.settings(Speed, table, ("speed",))
    if embedding is not None and train is not None:
        check_positions(table, embedding, train, problems)
    if lists["objectives"] and None not in lists["objectives"]:
        check_combination(
            table, lists["objectives"], phases, train.batch_size if train else None, problems
        )
    if (
        size is None
        or tokenizer is None
        or budget is None
        or train is None
        or optim is None
        or speed is None
        or problems.lines
    ):
        return None
    return Arm(
        name=name,
        model=ModelSettings(size, embedding, encoder),
        data=DataSettings(corpus, tokenizer),
        masking=masking,
        objectives=lists["objectives"],
        phases=phases,
        evaluations=lists["evaluations"],
        reporters=lists["reporters"],
        budget=budget,
        train=train,
        optim=optim,
        speed=speed,
    )


def _size(table: Table, registry: Registry, problems: Problems) -> SizePreset | None:
    preset = _chosen(table, "size", "size preset", registry, problems)
    if preset is None:
        return None
    given = preset.model_dump(mode="json", exclude_unset=True) | table.values["size"]
    filled = Table(table.values | {"size": given}, table.origins, table.otherwise)
    return problems.settings(SizePreset, filled, ("size",))


def _component(table: Table, slot: str, kind: str, registry: Registry, problems: Problems) -> Any:
    chosen = _chosen(table, slot, kind, registry, problems)
    return chosen and problems.settings(chosen, table, (slot,), fixed=("name",))


def _chosen(table: Table, slot: str, kind: str, registry: Registry, problems: Problems) -> Any:
    """What the registry holds under the name that a slot gives, or None and a problem."""
    name = table.get((slot, "name"))
    if isinstance(name, str):
        return _registered(table, (slot, "name"), name, kind, registry, problems)
    known = ", ".join(registry.names(kind)) or "none is installed"
    given = "must be given" if slot not in table.values else "must name"
    got = f" (got {show(table.values[slot])})" if slot in table.values else ""
    problems.add(table.origin((slot,)), (slot,), f"{given}: one {kind} of {known}{got}")
    return None


def _listed(
    table: Table, plural: str, option: str, kind: str, registry: Registry, problems: Problems
) -> tuple[Any, ...]:
    """The components of a list of names, each with its table of options."""
    names, path = table.get((plural,)), (plural,)
    known = ", ".join(registry.names(kind)) or "none is installed"
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        given = "must be given: " if names is None else f"must be (got {show(names)}): "
        problems.add(table.origin(path), path, f"{given}a list of names of {known}")
        return ()
    if plural == "objectives" and not names:
        problems.add(table.origin(path), path, f"must hold at least one name of {known}")
    options = table.get((option,), {})
    if not isinstance(options, dict):
        text = f"must hold a table [{option}.<name>] (got {show(options)})"
        problems.add(table.origin((option,)), (option,), text)
    components = []
    for index, name in enumerate(names):
        if name in names[:index]:
            problems.add(table.origin((plural, index)), path, f"'{name}' is given twice")
        else:
            config = _registered(table, (plural, index), name, kind, registry, problems)
            components.append(config and problems.settings(config, table, (option, name)))
    return tuple(components)


def _registered(
    table: Table, path: KeyPath, name: str, kind: str, registry: Registry, problems: Problems
) -> Any:
    try:
        return registry.get(kind, name)
    except UserError as error:
        shown = path[:-1] if isinstance(path[-1], int) else path
        problems.add(table.origin(path), shown, str(error))
        return None


def _objectives(table: Table, registry: Registry) -> list[type[ObjectiveConfig]] | None:
    """The classes of the arm's objectives, or None when they are not all known."""
    names = table.get(("objectives",))
    known = registry.names("objective")
    if not isinstance(names, list) or not all(name in known for name in names):
        return None
    try:
        return [registry.get("objective", name) for name in names]
    except UserError:
        return None
