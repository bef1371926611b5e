"""Metrics as a CSV file: step, metric, value."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clozebox import ReporterConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.training import Reporter


class SkeletonReporterConfig(ReporterConfig):
    """What ``[reporter.skeleton]`` may say."""

    name: ClassVar[str] = "skeleton"
    file: str = "skeleton.csv"
    """In the folder of the run."""

    def build(self) -> Reporter:
        from .reporter import SkeletonReporter

        return SkeletonReporter(self.file)


@hookimpl
def register_reporters() -> list[type[ReporterConfig]]:
    return [SkeletonReporterConfig]
