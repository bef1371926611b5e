"""Batches written out by hand, and what an objective is built for, small enough to check."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from clozebox import MaskingConfig, ModelShape
from clozebox.data import Rows, Vocabulary
from clozebox.model import BertEmbedding, BertEncoder
from clozebox.pretraining import Batch, MaskingStrategy, ModelContext

VOCABULARY = Vocabulary(40, 0, 1, 2, 3, 4, special_ids=(0, 1, 2, 3, 4))
SHAPE = ModelShape(
    vocab_size=40,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=600,
)


class Given(MaskingConfig):
    def build(self, text: object) -> MaskingStrategy:
        raise NotImplementedError


class GivenMasking(MaskingStrategy):
    """Hides the columns that it is given, one list for each sequence."""

    def __init__(self, columns: list[list[int]]) -> None:
        super().__init__(Given(mask_share=1.0, random_share=0.0), VOCABULARY)
        self.columns = columns

    def choose(self, batch: Batch, rate: float) -> Tensor:
        chosen = torch.zeros_like(batch.attention_mask)
        for row, columns in enumerate(self.columns):
            chosen[row, columns] = True
        return chosen

    def max_targets(self, length: int) -> int:
        return length


def batch_of(
    contents: list[list[int]], hidden: list[list[int]] | None = None, seed: int = 0
) -> Batch:
    """``[CLS] content [SEP]`` and padding for each list of ordinary ids, ``hidden`` the columns."""
    width = max(map(len, contents)) + 2
    ids = np.array([[2, *one, 3] + [0] * (width - 2 - len(one)) for one in contents])
    rows = Rows(ids, np.zeros_like(ids), ids != 0, np.isin(ids, VOCABULARY.special_ids))
    masking = None if hidden is None else GivenMasking(hidden)
    return Batch.of(rows, VOCABULARY, masking, seed=seed, first=0)


def context(**changes: Any) -> ModelContext:
    """A model's parts, drawn anew by torch's global generator."""
    shape = SHAPE.model_copy(update=changes)
    return ModelContext(
        shape,
        VOCABULARY,
        BertEmbedding(shape, 0.0),
        lambda other: BertEncoder(other, 0.0, 0.0),
    )
