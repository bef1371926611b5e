"""A plugin of components that build nothing: enough to check settings against."""

from typing import Any

from pydantic import Field

from clozebox import (
    CorpusConfig,
    EmbeddingConfig,
    EncoderConfig,
    EvaluationTaskConfig,
    MaskingConfig,
    ObjectiveConfig,
    ReporterConfig,
    SizePreset,
    TokenObjectiveConfig,
    hookimpl,
)


class Unbuilt:
    def build(self, *parts: Any) -> Any:
        raise NotImplementedError


class Bert(Unbuilt, EmbeddingConfig):
    name = "bert"


class BertLayers(Unbuilt, EncoderConfig):
    name = "bert"
    dropout: float = Field(default=0.1, ge=0, lt=1)


class Token(Unbuilt, MaskingConfig):
    name = "token"


class Span(Unbuilt, MaskingConfig):
    name = "span"
    max_span: int = Field(default=10, ge=1)


class Mlm(Unbuilt, TokenObjectiveConfig):
    name = "mlm"
    needs_masking = True


class Forward(Unbuilt, TokenObjectiveConfig):
    name = "forward"


class Nsp(Unbuilt, ObjectiveConfig):
    name = "nsp"
    example = "pair"


class Sop(Unbuilt, ObjectiveConfig):
    name = "sop"
    example = "swapped_pair"


class Lines(Unbuilt, CorpusConfig):
    name = "lines"
    path: str = "lines.txt"
    parts: tuple[str, ...] = ()


class HeldOut(Unbuilt, EvaluationTaskConfig):
    name = "held_out"


class Cloze(Unbuilt, EvaluationTaskConfig):
    name = "cloze"
    rows: int = Field(default=7, ge=1)


class Console(Unbuilt, ReporterConfig):
    name = "console"


@hookimpl
def register_size_presets() -> list[SizePreset]:
    return [
        SizePreset(name="tiny", num_hidden_layers=2, hidden_size=96, num_attention_heads=3),
        SizePreset(name="mini", num_hidden_layers=5, hidden_size=140, num_attention_heads=7),
    ]


@hookimpl
def register_embeddings() -> list[type[EmbeddingConfig]]:
    return [Bert]


@hookimpl
def register_encoders() -> list[type[EncoderConfig]]:
    return [BertLayers]


@hookimpl
def register_masking_strategies() -> list[type[MaskingConfig]]:
    return [Token, Span]


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [Mlm, Forward, Nsp, Sop]


@hookimpl
def register_corpora() -> list[type[CorpusConfig]]:
    return [Lines]


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [HeldOut, Cloze]


@hookimpl
def register_reporters() -> list[type[ReporterConfig]]:
    return [Console]
