"""Mean losses over many passes, each target counting the same."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from clozebox.evaluation.held_out import Precision
from clozebox.pretraining import Pass, PretrainingModel
from clozebox.pretraining.passes import add_up, count_targets, forward, means, summed


def mean_losses(
    model: PretrainingModel, passes: Iterable[Pass], numerics: Precision
) -> dict[str, float]:
    """``mlm_loss``, ``mlm_accuracy``, ... over all targets of all passes; without gradients."""
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, torch.Tensor] = {}
    with torch.no_grad(), numerics.autocast():
        for one in passes:
            sums = add_up([sums, summed(forward(model, one))])
            counts = add_up([counts, count_targets([one])])
    return means(
        {name: value.item() for name, value in sums.items()},
        {name: value.item() for name, value in counts.items()},
    )
