"""The mean cosine between the vectors of different tokens. B sequences, T tokens, D hidden size."""

from __future__ import annotations

import torch

from clozebox.evaluation import EvaluationTask, HeldOut
from clozebox.pretraining import PretrainingModel


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
                # The squared length of the sum holds every pair twice, and each with itself.
                cosines += (total @ total).item() - len(vectors)
                pairs += len(vectors) * (len(vectors) - 1)
        return {"skeleton_cosine": cosines / pairs}
