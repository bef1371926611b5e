"""Components to be named in an experiment and never built: a sweep only passes them on."""

from __future__ import annotations

from typing import Any

from clozebox.components import (
    CorpusConfig,
    EmbeddingConfig,
    EncoderConfig,
    EvaluationTaskConfig,
    ObjectiveConfig,
    SizePreset,
)
from clozebox.hookspecs import hookimpl


class Words(CorpusConfig):
    name = "words"

    def build(self) -> Any:
        raise NotImplementedError


class Flat(EmbeddingConfig):
    name = "flat"

    def build(self, shape: Any) -> Any:
        raise NotImplementedError


class Thin(EncoderConfig):
    name = "thin"

    def build(self, shape: Any) -> Any:
        raise NotImplementedError


class Guess(ObjectiveConfig):
    name = "guess"

    def build(self, context: Any) -> Any:
        raise NotImplementedError


class Yard(EvaluationTaskConfig):
    name = "yard"

    def build(self) -> Any:
        raise NotImplementedError


@hookimpl
def register_size_presets() -> list[SizePreset]:
    return [SizePreset(name="pocket", num_hidden_layers=1, hidden_size=6, num_attention_heads=3)]


@hookimpl
def register_corpora() -> list[type[CorpusConfig]]:
    return [Words]


@hookimpl
def register_embeddings() -> list[type[EmbeddingConfig]]:
    return [Flat]


@hookimpl
def register_encoders() -> list[type[EncoderConfig]]:
    return [Thin]


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [Guess]


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [Yard]
