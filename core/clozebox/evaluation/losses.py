"""Mean losses over many batches, each target counting the same."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from clozebox.evaluation.held_out import Precision
from clozebox.pretraining import IGNORE_INDEX, Batch, Objective, Pass, PretrainingModel, View
from clozebox.pretraining.passes import (
    add_up,
    count_targets,
    everyone,
    forward,
    means,
    passes,
    summed,
)

Sums = dict[str, Tensor]


def mean_losses(
    model: PretrainingModel, batches: Iterable[Batch], numerics: Precision
) -> dict[str, float]:
    """``mlm_loss``, ``mlm_accuracy``, ... of every objective over all targets of all batches."""
    sums: Sums = {}
    counts: Sums = {}
    with torch.no_grad(), numerics.autocast():
        for batch in batches:
            readers = everyone(model, batch)
            counts = add_up([counts, count_targets(readers)])
            sums = add_up([sums, *(summed(forward(model, one)) for one in passes(readers))])
    return _means(sums, counts)


def view_losses(
    model: PretrainingModel, objective: Objective, views: Iterable[View], numerics: Precision
) -> dict[str, float]:
    """The same of the term that one objective is named after, over the labels of the ``views``."""
    sums: Sums = {}
    counts: Sums = {}
    with torch.no_grad(), numerics.autocast():
        for view in views:
            term = forward(model, Pass(view, (objective,)))[objective.name]
            sums = add_up([sums, summed({objective.name: term})])
            counts = add_up([counts, {objective.name: (view.labels != IGNORE_INDEX).sum()}])
    return _means(sums, counts)


def _means(sums: Sums, counts: Sums) -> dict[str, float]:
    return means(
        {name: value.item() for name, value in sums.items()},
        {name: value.item() for name, value in counts.items()},
    )
