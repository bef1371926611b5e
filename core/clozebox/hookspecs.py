"""Every way to extend the sandbox, on one page.

Hooks only *register*: each returns a list of things to add, and none is called in a forward or
backward pass. A plugin is a module with functions of these names, marked ``@hookimpl``, named in an
entry point of the group ``clozebox``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from clozebox.components import (
        CorpusConfig,
        EmbeddingConfig,
        EncoderConfig,
        EvaluationTaskConfig,
        MaskingConfig,
        ObjectiveConfig,
        ReporterConfig,
        SizePreset,
    )

NAMESPACE = "clozebox"
hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


@hookspec
def register_size_presets() -> list[SizePreset]:  # type: ignore[empty-body]
    """Layers, hidden size and heads under a name: tiny, mini, small, medium, base, large."""


@hookspec
def register_embeddings() -> list[type[EmbeddingConfig]]:  # type: ignore[empty-body]
    """Token ids to vectors."""


@hookspec
def register_encoders() -> list[type[EncoderConfig]]:  # type: ignore[empty-body]
    """Vectors to contextual vectors."""


@hookspec
def register_masking_strategies() -> list[type[MaskingConfig]]:  # type: ignore[empty-body]
    """Which tokens are hidden."""


@hookspec
def register_objectives() -> list[type[ObjectiveConfig]]:  # type: ignore[empty-body]
    """What is predicted, and the loss."""


@hookspec
def register_corpora() -> list[type[CorpusConfig]]:  # type: ignore[empty-body]
    """Text to learn from: documents of sentences."""


@hookspec
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:  # type: ignore[empty-body]
    """Yardsticks that are the same for every arm."""


@hookspec
def register_reporters() -> list[type[ReporterConfig]]:  # type: ignore[empty-body]
    """Where metrics go besides metrics.jsonl."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to ``clozebox``; import what they need inside them."""
