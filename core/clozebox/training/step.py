"""One optimizer step: every target counts the same, however the batch is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clozebox.pretraining import Batch, Objective, Terms
from clozebox.pretraining.mixture import share_out
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


@dataclass(frozen=True, eq=False)
class StepSums:
    """What a step summed, still on the device: each () float64."""

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
    counts = add_up(  # before any division
        {term: one.count for term, one in found.items()} for found in targets
    )
    sums: list[dict[str, Tensor]] = []
    flops: list[Tensor] = []
    for readers, found in zip(shared, targets, strict=True):
        with training.numerics.autocast():
            made = passes(readers)
        flops.append(step_flops(encoder_flops(model, made), found))
        for one in made:
            with training.numerics.autocast():
                terms = forward(model, one)
            weighted_loss(terms, counts).backward()  # type: ignore[no-untyped-call]
            sums.append(summed(terms))
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), training.arm.optim.max_grad_norm)
    optimizer.guard(norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    tokens = torch.stack([batch.attention_mask.sum() for batch in micro_batches]).sum()
    return StepSums(add_up(sums), counts, tokens, torch.stack(flops).sum(), norm.detach())


def weighted_loss(terms: Terms, counts: dict[str, Tensor]) -> Tensor:
    """The share of these terms in the step's loss: weighted sums over the *step's* target counts.

    A mean of micro-batch means would weigh a target by how many others its micro-batch happens to
    hold, and masked rows hold different numbers.
    """
    shares = [term.weight * term.loss / counts[name].clamp(min=1) for name, term in terms.items()]
    return torch.stack(shares).sum()
