"""A component by name or by its settings, tried against every property of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from clozebox.components import (
    CorpusConfig,
    EmbeddingConfig,
    EncoderConfig,
    EvaluationTaskConfig,
    MaskingConfig,
    ObjectiveConfig,
    ReporterConfig,
    Settings,
    SizePreset,
)
from clozebox.errors import UserError, did_you_mean
from clozebox.registry import KINDS, Registry, load_registry
from clozebox.testing import (
    corpus_contract,
    embedding_contract,
    encoder_contract,
    evaluation_contract,
    masking,
    objective,
    reporter_contract,
    size_contract,
)
from clozebox.testing.verdict import Property, Verdict, judge


class Contract(NamedTuple):
    """The properties of a kind, and what makes a subject for them of settings and a seed."""

    properties: Sequence[Property[Any]]
    subject: Callable[[Any, int], Any]


CONTRACTS: Mapping[type[Settings], Contract] = MappingProxyType(
    {
        MaskingConfig: Contract(masking.PROPERTIES, masking.Masking),
        ObjectiveConfig: Contract(objective.PROPERTIES, objective.ObjectiveCase),
        CorpusConfig: Contract(corpus_contract.PROPERTIES, corpus_contract.CorpusCase),
        SizePreset: Contract(size_contract.PROPERTIES, size_contract.SizeCase),
        EmbeddingConfig: Contract(embedding_contract.PROPERTIES, embedding_contract.EmbeddingCase),
        EncoderConfig: Contract(encoder_contract.PROPERTIES, encoder_contract.EncoderCase),
        EvaluationTaskConfig: Contract(
            evaluation_contract.PROPERTIES, evaluation_contract.EvaluationCase
        ),
        ReporterConfig: Contract(reporter_contract.PROPERTIES, reporter_contract.ReporterCase),
    }
)


class Found(NamedTuple):
    """A component of the registry."""

    kind: str
    name: str
    component: Any


def check(settings: Settings, seed: int = 0) -> list[Verdict]:
    """Try a component, given by its settings, against every property of its kind.

    ``settings`` is an instance of a component's Config, or a SizePreset. Another ``seed`` is
    another text, other draws and other initial weights.
    """
    [contract] = [one for base, one in CONTRACTS.items() if isinstance(settings, base)]
    return judge(contract.properties, contract.subject(settings, seed))


def assert_passes(
    name: str, settings: Mapping[str, Any] | None = None, *, registry: Registry | None = None
) -> None:
    """Check every component that is called ``name``; for a plugin's own tests.

    Raises:
        AssertionError: with every property that does not hold.
        UserError: nothing has that name.
    """
    found = components_named(name, registry or load_registry())
    verdicts = [one for each in found for one in check(settings_of(each, settings or {}))]
    failed = [str(verdict) for verdict in verdicts if not verdict.passed]
    assert not failed, f"{name} fails {len(failed)} of {len(verdicts)}:\n\n" + "\n\n".join(failed)


def components_named(name: str, registry: Registry, kind: str | None = None) -> list[Found]:
    """What the registry holds under a component's name, or all that the plugin ``name`` adds.

    Raises:
        UserError: nothing has that name, or the plugin is broken.
    """
    kinds = [one for one in KINDS if kind in (None, one)]
    found = [
        Found(one, name, registry.get(one, name)) for one in kinds if name in registry.names(one)
    ]
    if found:
        return found
    plugins = {info.name: info for info in registry.plugins}
    if name in plugins:
        if plugins[name].state == "broken":
            raise UserError(f"plugin {plugins[name]} is broken: {plugins[name].cause}")
        added = plugins[name].adds
        return [Found(k, n, registry.get(k, n)) for k in kinds for n in added.get(k, ())]
    known = [*plugins, *(one for each in kinds for one in registry.names(each))]
    what = f"no {kind}" if kind else "no component and no plugin"
    raise UserError(f"{what} is named '{name}'{did_you_mean(name, known)}")


def settings_of(found: Found, given: Mapping[str, Any]) -> Settings:
    """The component with its default settings, and those that are given.

    Raises:
        UserError: a setting that it does not have, does not allow, or needs to be given.
    """
    if isinstance(found.component, SizePreset):
        return found.component
    try:
        made: Settings = found.component.model_validate(dict(given))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        hint = "" if given else "; give settings as --set KEY=VALUE"
        raise UserError(f"{found.kind} {found.name}: {'; '.join(lines)}{hint}") from None
    return made
