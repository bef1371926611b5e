"""Asks one plugin what it adds, and checks the answer.

Each plugin is asked through a plugin manager of its own, so that whatever goes wrong is known to be
the fault of that plugin and touches no other.
"""

from __future__ import annotations

import inspect
import re
from types import MappingProxyType
from typing import Any

import click
import pluggy

from clozebox import components, hookspecs
from clozebox.errors import UserError, did_you_mean

COMMAND = "command"

Additions = dict[str, dict[str, Any]]
"""What a plugin adds: kind -> name -> thing."""

HOOKS = MappingProxyType(
    {
        "register_size_presets": ("size preset", components.SizePreset),
        "register_embeddings": ("embedding", components.EmbeddingConfig),
        "register_encoders": ("encoder", components.EncoderConfig),
        "register_masking_strategies": ("masking strategy", components.MaskingConfig),
        "register_objectives": ("objective", components.ObjectiveConfig),
        "register_corpora": ("corpus", components.CorpusConfig),
        "register_evaluation_tasks": ("evaluation task", components.EvaluationTaskConfig),
        "register_reporters": ("reporter", components.ReporterConfig),
    }
)
"""The hook of each kind of component, and the base class of what it returns."""

KINDS = tuple(kind for kind, _ in HOOKS.values())

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED = MappingProxyType({"masking strategy": "none"})
"""Words that stand for "nothing" in a TOML file."""


def additions_of(plugin: object) -> Additions:
    """What the plugin's hooks add, by kind and name.

    Raises `UserError` for an unknown hook or a wrong answer, and whatever a hook itself raises.
    """
    manager = pluggy.PluginManager(hookspecs.NAMESPACE)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise UserError(_unknown_hooks(manager, plugin) or " ".join(str(error).split())) from error
    return dict(_call(hook) for hook in manager.get_hookcallers(plugin) or [])


def warnings_about(plugin: object) -> tuple[str, ...]:
    """What looks like a slip, such as a hook that lacks its mark."""
    marker = f"{hookspecs.NAMESPACE}_impl"
    hooks = (*HOOKS, "register_commands")
    unmarked = [h for h in hooks if hasattr(plugin, h) and not hasattr(getattr(plugin, h), marker)]
    if unmarked:
        return (f"{', '.join(unmarked)} not marked @hookimpl, so never called",)
    if not any(hasattr(plugin, h) for h in hooks):
        return ("it has no hooks, so it adds nothing",)
    return ()


def _unknown_hooks(manager: pluggy.PluginManager, plugin: object) -> str:
    callers = manager.get_hookcallers(plugin) or []
    unknown = [caller.name for caller in callers if not caller.has_spec()]
    known = (*HOOKS, "register_commands")
    return "; ".join(f"there is no hook '{name}'{did_you_mean(name, known)}" for name in unknown)


def _call(hook: pluggy.HookCaller) -> tuple[str, dict[str, Any]]:
    if hook.name == "register_commands":
        # A group of its own: a plugin can neither replace nor remove anybody else's command.
        group = click.Group()
        hook(cli=group)
        return COMMAND, dict(group.commands)
    kind, base = HOOKS[hook.name]
    answers = hook()
    if not answers or not isinstance(answers[0], (list, tuple)):
        given = type(answers[0]).__name__ if answers else "None"
        raise UserError(f"{hook.name}() must return a list, but returned {given}")
    added: dict[str, Any] = {}
    for thing in answers[0]:
        name = _checked_name(hook.name, kind, base, thing)
        if name in added:
            raise UserError(f"{hook.name}() returned two things named '{name}'")
        added[name] = thing
    return kind, added


def _checked_name(hook: str, kind: str, base: type, thing: object) -> str:
    """The registry name of what a hook returned, once it is known to be of the right type."""
    if base is components.SizePreset:
        fits, wanted = isinstance(thing, base), "instances of SizePreset"
    else:
        fits = isinstance(thing, type) and issubclass(thing, base)
        wanted = f"subclasses of {base.__name__}"
    if not fits:
        raise UserError(f"{hook}() must return {wanted}, but one of them is {thing!r}")
    if inspect.isabstract(thing):
        missing = ", ".join(sorted(getattr(thing, "__abstractmethods__", ())))
        raise UserError(f"{hook}() returned {thing!r}, which does not define {missing}")
    name = getattr(thing, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == RESERVED.get(kind):
        raise UserError(
            f"{hook}() returned {thing!r}, whose name {name!r} is not a free lower_snake_case word"
        )
    return name
