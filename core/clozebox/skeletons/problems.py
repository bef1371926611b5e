"""What is in the way of a new plugin."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

from clozebox.plugin_additions import NAME, RESERVED
from clozebox.registry import Registry
from clozebox.skeletons.plugin_files import HERE, KINDS, NewPlugin


def problems_of(new: NewPlugin, registry: Registry) -> Iterator[str]:
    """Everything that is wrong with its name and its place."""
    kind = KINDS[new.kind]
    if not NAME.fullmatch(new.name) or keyword.iskeyword(new.name):
        yield (
            f"{new.name!r} is no name: lower_snake_case is, a letter and then letters, digits "
            "and _, 64 at most, and no word of Python's own"
        )
    else:
        if new.name in registry.names(kind) or new.name == RESERVED.get(kind):
            yield f"there is a {kind} named '{new.name}' already"
        taken = [info for info in registry.plugins if info.name in (new.name, new.module.stem)]
        yield from (f"there is a plugin named '{info.name}' already: {info}" for info in taken)
        yield from (f"'{new.name}' clashes with {other}" for other in _clashes(new))
    if new.path.exists():
        yield f"{new.path} is there already, and nothing is overwritten"
    if new.folder.exists() and not new.folder.is_dir():
        yield f"{new.folder} is not a folder"


def _clashes(new: NewPlugin) -> Iterator[str]:
    """What the new plugin needs and would hide under its own name, or may not be named."""
    words = {
        word
        for file in (HERE / new.kind).glob("*.py")
        for word in re.findall(r"\w+", file.read_text(encoding="utf-8"))
    }
    renamed = {word.replace("Skeleton", new.camel) for word in words if "Skeleton" in word}
    yield from sorted(f"{word} of clozebox, which it needs" for word in renamed & words)
    if new.kind == "objective":
        from torch import nn

        if hasattr(nn.ModuleDict(), new.name):  # where a model keeps its objectives
            yield f"{new.name} of torch's ModuleDict"
