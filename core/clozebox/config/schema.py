"""A JSON Schema of experiments, for completion and checks in an editor (``#:schema schema.json``).

It covers the core and every installed component, so it is made anew after installing a plugin.
Everything is inlined: the editors' validators resolve few references.
"""

from __future__ import annotations

from typing import Any

from clozebox.components import Settings, SizePreset
from clozebox.config.build import SECTIONS
from clozebox.config.readers import LISTS
from clozebox.config.settings import Phases, Plan, Sweep
from clozebox.registry import Registry

SLOT_KINDS = (
    ("size", "size preset"),
    ("corpus", "corpus"),
    ("embedding", "embedding"),
    ("encoder", "encoder"),
    ("masking", "masking strategy"),
)


def json_schema(registry: Registry) -> dict[str, Any]:
    """The schema of an experiment's TOML with the components of ``registry``."""
    shared = {slot: _slot(slot, kind, registry) for slot, kind in SLOT_KINDS}
    for plural, option, kind in LISTS:
        names = list(registry.names(kind))
        shared[plural] = {"type": "array", "items": {"enum": names}, "uniqueItems": True}
        shared[option] = _table({name: _of(registry.get(kind, name)) for name in names})
    shared |= {section: _of(model) for section, model in SECTIONS.items()}
    shared |= _of(Phases)["properties"]
    name = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}
    arm = {**_table({"name": name, **shared}), "required": ["name"]}
    plan = _of(Plan)["properties"] | {"sweep": _of(Sweep)}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A Clozebox experiment",
        **_table({**plan, **shared, "arm": {"type": "array", "items": arm}}),
    }


def _slot(slot: str, kind: str, registry: Registry) -> dict[str, Any]:
    names = list(registry.names(kind))
    tables = [_named(name, _of(_model(kind, name, registry))) for name in names]
    # An arm may set an option alone, and then the name is the experiment's.
    nameless = {"type": "object", "not": {"required": ["name"]}}
    words = [*names, "none"] if slot == "masking" else names
    if slot == "masking":
        tables.append(_table({"name": {"const": "none"}}))
    return {"anyOf": [{"enum": words}, *tables, nameless]}


def _model(kind: str, name: str, registry: Registry) -> type[Settings]:
    component: Any = registry.get(kind, name)
    return SizePreset if isinstance(component, SizePreset) else component


def _named(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {**_table(schema["properties"] | {"name": {"const": name}}), "required": ["name"]}


def _table(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of(model: type[Settings]) -> dict[str, Any]:
    """The schema of one model. Nothing is required: another layer may have given it."""
    schema = model.model_json_schema()
    inlined: dict[str, Any] = _inline(schema, schema.get("$defs", {}))
    inlined.setdefault("properties", {})
    return {key: value for key, value in inlined.items() if key not in ("$defs", "required")}


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inline(value, definitions) for key, value in schema.items() if key != "$defs"}
