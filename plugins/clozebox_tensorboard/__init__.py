"""TensorBoard: a live view of a run; metrics.jsonl stays the record of truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from clozebox import ReporterConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.training import Reporter


class TensorBoardConfig(ReporterConfig):
    """Event files in the run's folder: scalars, and one row per arm in the HParams table."""

    name: ClassVar[str] = "tensorboard"
    flush_seconds: PositiveInt = 10

    def build(self) -> Reporter:
        from clozebox_tensorboard.reporter import TensorBoardReporter

        return TensorBoardReporter(self.flush_seconds)


@hookimpl
def register_reporters() -> list[type[ReporterConfig]]:
    return [TensorBoardConfig]
