"""TensorBoard: a live view of a run; metrics.jsonl stays the record of truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PositiveInt, field_validator

from clozebox import EvaluationTaskConfig, ReporterConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.evaluation import EvaluationTask
    from clozebox.training import Reporter

MASK = "[MASK]"


class TensorBoardConfig(ReporterConfig):
    """Event files in the run's folder: scalars, and one row per arm in the HParams table."""

    name: ClassVar[str] = "tensorboard"
    flush_seconds: PositiveInt = 10

    def build(self) -> Reporter:
        from clozebox_tensorboard.reporter import TensorBoardReporter

        return TensorBoardReporter(self.flush_seconds)


class FillsConfig(EvaluationTaskConfig):
    """What the model fills in, as text beside the curves: how it learns, for people to read."""

    name: ClassVar[str] = "fills"
    sentences: tuple[str, ...] = Field(default=(), strict=False)
    """Texts with [MASK]s; without any, blanks in held-out text."""
    excerpts: PositiveInt = 6
    """How many blanks in held-out text."""
    top: PositiveInt = 5

    @field_validator("sentences")
    @classmethod
    def _with_blanks(cls, sentences: tuple[str, ...]) -> tuple[str, ...]:
        if full := [sentence for sentence in sentences if MASK not in sentence]:
            raise ValueError(f"no {MASK} in {', '.join(map(repr, full))}")
        return sentences

    def build(self) -> EvaluationTask:
        from clozebox_tensorboard.fills import Fills

        return Fills(self)


@hookimpl
def register_reporters() -> list[type[ReporterConfig]]:
    return [TensorBoardConfig]


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [FillsConfig]
