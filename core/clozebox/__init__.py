"""Clozebox: which pretraining choice is better, at equal cost, and is the difference real?

What a plugin's ``__init__`` imports; it costs no torch, and nothing at all until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clozebox.components import (
        CorpusConfig,
        EmbeddingConfig,
        EncoderConfig,
        EvaluationTaskConfig,
        ExampleKind,
        MaskingConfig,
        ModelShape,
        ObjectiveConfig,
        ReporterConfig,
        Settings,
        SizePreset,
        TokenObjectiveConfig,
    )
    from clozebox.hookspecs import hookimpl

__all__ = [
    "CorpusConfig",
    "EmbeddingConfig",
    "EncoderConfig",
    "EvaluationTaskConfig",
    "ExampleKind",
    "MaskingConfig",
    "ModelShape",
    "ObjectiveConfig",
    "ReporterConfig",
    "Settings",
    "SizePreset",
    "TokenObjectiveConfig",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    # Lazy, because pydantic alone takes longer to import than `clozebox --help` may.
    if name not in __all__:
        raise AttributeError(f"module 'clozebox' has no attribute {name!r}")
    home = "clozebox.hookspecs" if name == "hookimpl" else "clozebox.components"
    return getattr(import_module(home), name)
