"""Rows of ids without a text, and the plainest strategy to mask them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.data import Rows, TrainingText, Vocabulary
from clozebox.pretraining import IGNORE_INDEX, Batch, MaskingStrategy, choose_exactly

# Special ids in the middle, as in BERT's own vocabulary, where [UNK] is 100 and [MASK] is 103.
VOCABULARY = Vocabulary(61, 0, 20, 21, 22, 23, special_ids=(0, 20, 21, 22, 23))


TEXT: Any = SimpleNamespace(vocabulary=VOCABULARY)


class Uniform(MaskingStrategy):
    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_exactly(batch.uniform("choice"), batch, rate)


class Settings(MaskingConfig):
    name = "uniform"

    def build(self, text: TrainingText) -> MaskingStrategy:
        return Uniform(self, text.vocabulary)


def a_batch(
    sequences: int = 400,
    length: int = 29,
    first: int = 0,
    seed: int = 3,
    progress: float = 1.0,
    **masking: Any,
) -> Batch:
    """Rows of 4 to ``length`` real tokens, a function of their place in the stream alone."""
    places = np.arange(first, first + sequences)[:, None]
    column = np.arange(length)[None, :]
    real = 4 + places * 7 % (length - 3)
    ids = 24 + (places * 31 + column * 5) % 37
    ids = np.where(column == 0, 21, np.where(column == real - 1, 22, ids))
    ids = np.where(column < real, ids, 0)
    special = (column == 0) | (column >= real - 1)
    rows = Rows(ids, np.zeros_like(ids), column < real, special | (ids == 0))
    strategy = Settings(**masking).build(TEXT)
    return Batch.of(rows, VOCABULARY, strategy, seed=seed, first=first, progress=progress)


def on_meta(batch: Batch) -> Batch:
    """The batch on torch's device without data: whatever asks for a value there raises."""
    names = ("input_ids", "token_type_ids", "attention_mask", "special_tokens_mask")
    return replace(batch, **{name: getattr(batch, name).to("meta") for name in names})


def predicted_and_corrupted(batch: Batch) -> tuple[Tensor, Tensor]:
    """Which tokens have a label, and which are replaced, where every corrupted one is [MASK]."""
    view = batch.masked
    return view.labels != IGNORE_INDEX, view.input_ids == VOCABULARY.mask_id


ALL_MASK = {"mask_share": 1.0, "random_share": 0.0}
