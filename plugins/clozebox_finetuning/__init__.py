"""What a pretrained model is worth on labelled examples: fine-tuned, or read by a linear probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from clozebox import EvaluationTaskConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.evaluation import EvaluationTask


class FineTuneConfig(EvaluationTaskConfig):
    """Fine-tunes a copy on each task with several seeds; fresh weights and a constant beside it."""

    name: ClassVar[str] = "finetune"

    when: Literal["always", "end"] | None = "end"
    tasks: tuple[str, ...] = Field(min_length=1, strict=False)
    """Task files, relative to the working directory."""

    def build(self) -> EvaluationTask:
        from clozebox.evaluation import FineTuning

        return FineTuning(self.tasks)


class ProbeConfig(EvaluationTaskConfig):
    """What a linear model reads off the frozen features of a layer; the cheap form."""

    name: ClassVar[str] = "probe"

    when: Literal["always", "end"] | None = "end"
    tasks: tuple[str, ...] = Field(min_length=1, strict=False)
    """Task files, relative to the working directory."""
    layer: Literal["best"] | NonNegativeInt = "best"
    """0 is the embedding; the best one is chosen on the development split."""
    pooling: Literal["mean", "cls"] = "mean"
    """What stands for a whole sequence: the mean of its tokens, or [CLS]."""

    def build(self) -> EvaluationTask:
        from clozebox.evaluation import Probing

        return Probing(self.tasks, None if self.layer == "best" else self.layer, self.pooling)


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [FineTuneConfig, ProbeConfig]
