"""One optimizer step: every target counts the same, however the batch is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from clozebox.pretraining import Batch, Objective, Terms
from clozebox.pretraining.mixture import owners, share_out
from clozebox.pretraining.passes import (
    add_up,
    encoder_flops,
    forward,
    passes,
    summed,
    targets_of,
)
from clozebox.training.budget import step_flops
from clozebox.training.setup import Training
from clozebox.training.sharding import everywhere


@dataclass(frozen=True, eq=False)
class StepSums:
    """What this rank's part of a step summed, still on the device: each () float64."""

    sums: dict[str, Tensor]
    """``mlm_loss``, ``mlm_accuracy``: summed over the targets of ``mlm``."""
    counts: dict[str, Tensor]
    """``mlm``: the number of targets."""
    tokens: Tensor
    flops: Tensor
    grad_norm: Tensor


def train_step(
    training: Training, objectives: Sequence[Objective], micro_batches: Sequence[Batch]
) -> StepSums:
    """Forward, backward, clip, update. Nothing here waits for the device."""
    model, optimizer = training.model, training.optimizer
    shared = [share_out(objectives, batch) for batch in micro_batches]
    targets = [targets_of(readers) for readers in shared]
    own = add_up({term: one.count for term, one in found.items()} for found in targets)
    learning = learning_in_step(training, objectives, micro_batches[0])
    whole = training.world.add_up(own, learning)  # over all ranks, before any division
    counts = {term: whole[term].to(count.dtype) for term, count in own.items()}
    sums: list[dict[str, Tensor]] = []
    flops: list[Tensor] = []
    for readers, found in zip(shared, targets, strict=True):
        with training.numerics.autocast():
            made = training.within(partial(passes, readers))
        flops.append(step_flops(encoder_flops(model, made), found))
        for one in made:
            with training.numerics.autocast():
                terms = training.within(partial(forward, model, one))
            weighted_loss(terms, counts).backward()  # type: ignore[no-untyped-call]
            sums.append(summed(terms))
    if training.parts is None:  # which would have added them up already
        training.world.add_up_gradients(model, learning)
    limit = training.arm.optim.max_grad_norm
    norm = everywhere(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
    optimizer.guard(norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    tokens = torch.stack([batch.attention_mask.sum() for batch in micro_batches]).sum()
    return StepSums(add_up(sums), own, tokens, torch.stack(flops).sum(), norm.detach())


def learning_in_step(
    training: Training, objectives: Sequence[Objective], batch: Batch
) -> tuple[str, ...]:
    """The objectives that read any sequence of the step on any rank, where there are several.

    Each rank knows without asking. ``batch`` is any of the step's.
    """
    if training.world.size == 1:
        return ()
    size = training.arm.train.batch_size
    first = int(batch.places[0]) // size * size
    owner = owners(np.arange(first, first + size), [one.share or 0.0 for one in objectives])
    reads = {*owner.tolist()}
    return tuple(
        one.name for index, one in enumerate(objectives) if one.share is None or index in reads
    )


def weighted_loss(terms: Terms, counts: dict[str, Tensor]) -> Tensor:
    """The share of these terms in the step's loss: weighted sums over the *step's* target counts.

    A mean of micro-batch means would weigh a target by how many others its micro-batch happens to
    hold, and masked rows hold different numbers.
    """
    shares = [term.weight * term.loss / counts[name].clamp(min=1) for name, term in terms.items()]
    return torch.stack(shares).sum()
