"""An objective under test, and what its properties are tried with.

B sequences, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from clozebox.components import MaskingConfig, ObjectiveConfig, TokenObjectiveConfig
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    ModelContext,
    Objective,
    PretrainingModel,
    Terms,
    TokenObjective,
    View,
)
from clozebox.testing.bench import ALL_HIDDEN, AS_BERT, Bench

SHARPNESS = 4
ViewT = TypeVar("ViewT", bound=View)


class Bystander(TokenObjectiveConfig):
    """Another objective of the arm."""

    name = "bystander"

    def build(self, context: ModelContext) -> Objective:
        class Causal(TokenObjective):
            def view(self, batch: Batch) -> View:
                return batch.causal

        return Causal(self, context)


@dataclass(frozen=True, eq=False)
class ObjectiveCase:
    """Settings, and a small model that learns from this objective alone."""

    config: ObjectiveConfig
    seed: int

    @cached_property
    def bench(self) -> Bench:
        return Bench(self.seed)

    @cached_property
    def model(self) -> PretrainingModel:
        return self.bench.model([self.config]).eval()

    @cached_property
    def sharp(self) -> PretrainingModel:
        """The same with larger weights, as if trained: there every dependence is a strong one."""
        return self.sharpened(self.bench.model([self.config]).eval())

    @property
    def objective(self) -> Objective:
        """That of the sharp model."""
        [objective] = self.sharp.each_objective()
        return objective

    @staticmethod
    def sharpened(model: PretrainingModel) -> PretrainingModel:
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.data *= SHARPNESS
        return model

    def batch(self, count: int = 8, masking: MaskingConfig = AS_BERT, first: int = 0) -> Batch:
        """Rows of the kind that the objective learns from, masked if it needs that."""
        built = masking.build(self.bench.text) if self.config.needs_masking else None
        return self.bench.batch(self.config.example, count, first, built)

    def batches(self) -> Iterator[tuple[str, Batch]]:
        """Every kind of row that the objective may meet, all that is chosen hidden."""
        yield self.config.example, self.batch(masking=ALL_HIDDEN)
        if self.config.example == "single":
            built = ALL_HIDDEN.build(self.bench.text) if self.config.needs_masking else None
            yield "packed", self.bench.packed(masking=built)
            # The row of an arm in which another objective needs pairs.
            yield "pair", self.bench.batch("pair", 8, 0, built)

    def tokens(self, ids: Tensor) -> str:
        return " ".join(self.bench.tokens(ids))


def terms_of(model: PretrainingModel, objective: Objective, batch: Batch) -> Terms:
    """What the objective sums over a batch."""
    view = objective.view(batch)
    return run(objective, model.encode(view), view)


def run(objective: Objective, hidden: Tensor, view: View) -> Terms:
    """``forward``, called as a module is."""
    terms: Terms = objective(hidden, view)
    return terms


def total(terms: Terms) -> Tensor:
    """The loss of an objective: its terms, weighted, summed."""
    return torch.stack([term.weight * term.loss for term in terms.values()]).sum()


def labels_are_tokens(case: ObjectiveCase, batch: Batch) -> bool:
    """Whether what the view labels with is tokens: every term has as many answers as those."""
    size = case.bench.vocabulary.size
    return all(one.classes == size for one in case.objective.targets(batch).values())


def copies(batch: Batch, row: int) -> Batch:
    """T + 1 copies of a row: the first as it is, copy j + 1 with another token at j.

    All stand at one place of the stream, so that they are masked alike. Padding stays. [CLS] and
    [SEP] are exchanged too, for they may be answers, and count as special all the same.
    """
    length = batch.input_ids.shape[1]
    many = batch.take(np.full(length + 1, row))
    ids = many.input_ids.clone()
    # Another id of the same kind: a piece that continues a word stays one.
    pool = batch.vocabulary.continuation_ids
    for place in range(length):
        if batch.attention_mask[row, place]:
            token = int(ids[0, place])
            kin = pool if token in pool else np.setdiff1d(batch.vocabulary.ordinary_ids, pool)
            known = set(ids[0].tolist())
            ids[place + 1, place] = next(int(other) for other in kin if int(other) not in known)
    return replace(many, input_ids=ids)


def rows_of(view: ViewT, rows: Tensor) -> ViewT:
    """Some of the sequences of a view."""
    count = len(view.input_ids)
    changed = {
        field.name: getattr(view, field.name)[rows]
        for field in fields(view)
        if isinstance(getattr(view, field.name), Tensor) and len(getattr(view, field.name)) == count
    }
    return replace(view, attention=view.attention.take(rows), **changed)


def with_targets(view: ViewT, wanted: Tensor) -> ViewT:
    """The view with labels only where ``wanted`` (B, T)."""
    return replace(view, labels=view.labels.where(wanted, IGNORE_INDEX))
