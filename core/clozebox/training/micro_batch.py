"""How many sequences go through the model at once: as many as memory holds.

Losses are sums, so cutting a batch never changes the update (dropout draws other masks of the same
distribution): what ran out of memory can be done again in smaller pieces.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from clozebox.errors import UserError
from clozebox.model import Extents
from clozebox.pretraining import Batch, Objective
from clozebox.pretraining.mixture import share_out
from clozebox.pretraining.passes import forward, passes
from clozebox.training.seeds import seed_globals

if TYPE_CHECKING:
    from clozebox.training.setup import Training

T = TypeVar("T")
SIGNS = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
"""What torch says in a RuntimeError on a CPU, and of what lies outside its own allocator."""


@dataclass(eq=False)
class MicroBatch:
    """The size, and whether it gives way when memory runs out."""

    size: int
    adapts: bool = False
    keep: Callable[[int], None] = lambda size: None
    """Called with each new size, so that a resumed run begins with it."""

    def shrink(self) -> None:
        self.size = (self.size + 1) // 2
        self.keep(self.size)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch, or Python, says that memory ran out."""
    told = isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
    return told or isinstance(error, torch.OutOfMemoryError | MemoryError)


def fitted(training: Training, step: Callable[[], T]) -> T:
    """What ``step`` returns; where it runs out of memory, the same step in smaller pieces.

    Not where other ranks wait for a sum, nor once an update has begun: there it raises.
    """
    cut, optimizer = training.micro_batch, training.optimizer
    can_shrink, updates = cut.adapts and training.world.size == 1, optimizer.updates
    while True:
        try:
            return step()
        except Exception as error:
            again = can_shrink and cut.size > 1 and optimizer.updates == updates
            if not (again and is_out_of_memory(error)):
                raise
        # Here, where the error is gone, and with it the tensors that its frames held.
        make_room(training)
        cut.shrink()


def find_size(training: Training) -> int:
    """The largest of the batch, half of it, a quarter ... that goes through the model.

    Tried on sequences of full length, in every phase, beside gradients and moments. Nothing of
    it stays: no update is made, and buffers get their numbers back.

    Raises:
        UserError: not even one does, or weights are shared out, which ranks gather together.
    """
    world, batch_size = training.world, training.arm.train.batch_size
    if training.parts is not None:
        raise UserError('speed.micro_batch_size = "auto": with speed.shard, give a number')
    size = most = len(world.part(0, batch_size))
    while not _fits(training, size, most):
        if size == 1:
            told = "out of memory: not even one sequence of full length fits"
            raise UserError(f"{told}; shorten train.seq_length or choose a smaller model")
        size = (size + 1) // 2
    return int(-world.largest(-size))


def make_room(training: Training) -> None:
    """Let go of what a step left that came to no end."""
    training.optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if training.numerics.device.type == "cuda":
        torch.cuda.empty_cache()
    if torch.get_deterministic_debug_mode():
        torch.set_deterministic_debug_mode("warn")  # attention may have been in its backward pass


def _fits(training: Training, size: int, most: int) -> bool:
    buffers = {name: held.clone() for name, held in training.model.named_buffers()}
    try:
        # The last of several pieces meets the gradients of those before it.
        _try(training, size, times=1 if size == most else 2)
        fits = True
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        fits = False
    make_room(training)
    with torch.no_grad():
        for name, held in training.model.named_buffers():
            held.copy_(buffers[name])
    return fits


def _try(training: Training, size: int, times: int) -> None:
    moments = _missing_moments(training)
    whole = _full_length(training.batch(0, size))
    seed_globals(training.seed, "micro_batch")
    for objectives in _each_phase(training):
        training.optimizer.zero_grad(set_to_none=True)
        for _ in range(times):
            _forward_and_backward(training, objectives, whole)
    del moments


def _forward_and_backward(
    training: Training, objectives: Sequence[Objective], batch: Batch
) -> None:
    with training.numerics.autocast():
        made = passes(share_out(objectives, batch))
    for one in made:
        with training.numerics.autocast():
            terms = forward(training.model, one)
        torch.stack([term.loss for term in terms.values()]).sum().backward()  # type: ignore[no-untyped-call]


def _each_phase(training: Training) -> list[list[Objective]]:
    arm, begin, found = training.arm, 0.0, list[list[Objective]]()
    for share in [phase.share for phase in arm.phases] or [1.0]:
        found.append(training.model.named(arm.objectives_at(begin + share / 2)))
        begin += share
    return found


def _missing_moments(training: Training) -> list[Tensor]:
    """Memory in place of the moments that the first step will make."""
    state = training.optimizer.state
    fresh = [one for one in training.model.parameters() if not state.get(one)]
    return [torch.empty_like(one) for one in fresh for _ in range(2)]


def _full_length(batch: Batch) -> Batch:
    """The same sequences without padding: an ordinary token stands in its place."""
    real = torch.ones_like(batch.attention_mask)
    padding = ~batch.attention_mask
    rows, width = real.shape
    return replace(
        batch,
        input_ids=batch.input_ids.masked_fill(padding, int(batch.vocabulary.ordinary_ids[0])),
        attention_mask=real,
        special_tokens_mask=batch.special_tokens_mask & ~padding,
        extents=Extents(real, np.full(rows, width)),
    )
