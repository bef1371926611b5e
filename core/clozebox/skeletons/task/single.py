"""How alike the vectors of different tokens are: a model that tells nothing apart says 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from clozebox import EvaluationTaskConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.evaluation import EvaluationTask, HeldOut
    from clozebox.pretraining import PretrainingModel


class SkeletonTaskConfig(EvaluationTaskConfig):
    """What ``[evaluation.skeleton]`` may say."""

    name: ClassVar[str] = "skeleton"
    sequences: PositiveInt = 64
    """How many held-out sequences are looked at."""

    def build(self) -> EvaluationTask:
        # Here, so that listing plugins costs no torch.
        import torch

        from clozebox.evaluation import EvaluationTask

        class SkeletonTask(EvaluationTask):
            def __init__(self, sequences: int) -> None:
                self.sequences = sequences

            def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
                """Your idea goes here; this is logged as ``eval/skeleton_cosine``."""
                cosines, pairs = 0.0, 0
                with torch.no_grad(), held_out.numerics.autocast():
                    for batch in held_out.batches(self.sequences):
                        hidden = model.encode(batch.plain).float()  # (B, T, D)
                        vectors = hidden[~batch.special_tokens_mask]  # (tokens, D)
                        total = torch.nn.functional.normalize(vectors, dim=-1).sum(0)  # (D,)
                        # The squared length of the sum holds every pair twice, and each with
                        # itself.
                        cosines += (total @ total).item() - len(vectors)
                        pairs += len(vectors) * (len(vectors) - 1)
                return {"skeleton_cosine": cosines / pairs}

        return SkeletonTask(self.sequences)


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [SkeletonTaskConfig]
