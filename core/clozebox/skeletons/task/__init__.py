"""How alike the vectors of different tokens are: a model that tells nothing apart says 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from clozebox import EvaluationTaskConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.evaluation import EvaluationTask


class SkeletonTaskConfig(EvaluationTaskConfig):
    """What ``[evaluation.skeleton]`` may say."""

    name: ClassVar[str] = "skeleton"
    sequences: PositiveInt = 64
    """How many held-out sequences are looked at."""

    def build(self) -> EvaluationTask:
        # Here, so that listing plugins costs no torch.
        from .task import SkeletonTask

        return SkeletonTask(self.sequences)


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [SkeletonTaskConfig]
