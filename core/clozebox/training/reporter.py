"""Where metrics go besides metrics.jsonl."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clozebox.config.settings import Arm
    from clozebox.training.run_directory import RunDirectory


class Reporter(ABC):
    """Told of a run's metrics as plain floats, at log points only, so it cannot stall a device."""

    @abstractmethod
    def start(self, run: RunDirectory, arm: Arm, first_step: int) -> None:
        """The run begins, or is taken up again: what was logged from ``first_step`` on is void."""

    @abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics at ``step``, named ``train/...``, ``eval/...``, ``optim/...``, ``perf/...``."""

    @abstractmethod
    def finish(self, state: str, result: Mapping[str, float]) -> None:
        """The run ends as ``done``, ``failed``, ``diverged`` or ``interrupted``."""
