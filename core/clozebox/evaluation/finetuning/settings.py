"""What a task is: a few lines of TOML beside its data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator

from clozebox.components import Settings

TaskKind = Literal["classification", "regression", "tagging", "question_answering"]
Format = Literal["tsv", "csv", "jsonl", "parquet", "conll", "squad", "glue"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]

METRICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "classification": ("accuracy", "macro_f1", "f1", "matthews_correlation"),
        "regression": ("pearson_correlation", "spearman_correlation"),
        "tagging": ("span_f1", "accuracy"),
        "question_answering": ("f1", "exact_match"),
    }
)
"""What each kind is scored by; the first decides where the task does not say."""


class FineTuningSettings(Settings):
    """`[finetuning]`: AdamW with warm-up and linear decay, as BERT is fine-tuned."""

    lr: PositiveFloat = 1e-4
    epochs: PositiveInt = 4
    batch_size: PositiveInt = 32
    seq_length: Annotated[int, Field(ge=8)] | None = None
    """As long as the run's own sequences where none is given."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], Field(min_length=1)] = (
        0,
        1,
        2,
    )
    """Each is another order of the examples, another head and other dropout."""
    warmup: Fraction = 0.1
    patience: PositiveInt = 2
    """Epochs without a better development score after which it stops."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    dropout: Fraction = 0.1
    """Before the head; embedding and encoder keep their own."""
    doc_stride: PositiveInt = 64
    """Question answering: tokens from one window of a long context to the next."""
    answer_tokens: PositiveInt = 30
    """Question answering: the longest answer that is looked for."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"must be distinct (got {list(seeds)})")
        return seeds


class TaskSettings(Settings):
    """A whole task file."""

    kind: TaskKind
    format: Format
    glue: str | None = None
    """Which of GLUE's tasks, where the format is theirs; it says all but what is given here."""
    train: str
    development: str
    test: str | None = None
    """Files, relative to the task's; without a test file the development file is scored on."""
    text: int | str | None = None
    text_pair: int | str | None = None
    label: int | str | None = None
    """Columns: names in the header, or numbers from 0 in a file that has no header."""
    labels: tuple[str | int, ...] | None = None
    """Every label there is; those of the training file where none are given."""
    metric: str | None = None
    finetuning: FineTuningSettings = FineTuningSettings()
