"""What is chosen by trying it on this machine, once for a run: the attention kernel, and how many
sequences go through the model at once.

Kernels round, and drop out, differently. So one is timed once for a machine and a shape, and what
was found is kept beside the token stores: every run of that shape computes the same way there. What
a run began with it keeps, wherever it goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from clozebox.config.settings import Arm
from clozebox.data.atomic_folder import locked
from clozebox.errors import UserError
from clozebox.model import Attention, Extents, MultiHeadSelfAttention, to_device
from clozebox.model.kernels import Kernel, candidates
from clozebox.training.device import Numerics, describe, shortest
from clozebox.training.files import write_json
from clozebox.training.micro_batch import find_size
from clozebox.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from clozebox.training.setup import Training

CLEARLY = 1.25
"""So many times as fast another kernel must be to be taken in place of the usual one."""
TOKENS = {"cpu": 2**12, "cuda": 2**16}
"""At most, that kernels are timed on."""


@dataclass(frozen=True)
class Workload:
    """The attention of one layer of a run; of its sequences, a quarter is padding."""

    rows: int
    length: int
    hidden_size: int
    heads: int
    dropout: float

    @classmethod
    def of(cls, arm: Arm, encoder: nn.Module, device_type: str) -> Workload | None:
        """That of an arm; None where its encoder has an attention of its own."""
        found = _attentions(encoder)
        if not found:
            return None
        length, width = arm.train.seq_length, found[0].output.in_features
        most = max(TOKENS.get(device_type, 0) // length, 1)
        rows = min(arm.train.batch_size, most)
        return cls(rows, length, width, found[0].num_heads, found[0].dropout)


@dataclass(frozen=True)
class Switches:
    """What was chosen for a run, and on what kind of device."""

    device: str
    attention: Kernel | None
    micro_batch_size: int

    @classmethod
    def of(cls, run: RunDirectory) -> Switches | None:
        """What is on record of a run; None before it first started."""
        path = run.path / "switches.json"
        return cls(**json.loads(path.read_text())) if path.exists() else None


def apply_recorded(run: RunDirectory, model: nn.Module, device: torch.device) -> None:
    """Compute as the run did, if it has begun on such a device."""
    recorded = Switches.of(run)
    if recorded is not None and recorded.device == device.type:
        use_kernel(model, recorded.attention)


def choose(training: Training, say: Callable[[str], None]) -> None:
    """Before the first step: what the settings leave open is what the run has on record, or what
    this machine does best. All ranks take the same.

    Raises:
        UserError: a kernel that does not exist here, or a model that does not fit.
    """
    world, cut = training.world, training.micro_batch
    found = Switches.of(training.run)
    recorded = world.from_main(None if found is None else asdict(found)) or {}
    attention = _kernel(training, recorded, say)
    use_kernel(training.model, attention)
    if cut.adapts:
        cut.size = recorded.get("micro_batch_size") or find_size(training)
        say(f"micro-batches of {cut.size} sequences")
    keep = partial(_keep, training, attention)
    keep(cut.size)

    def tell(size: int) -> None:
        keep(size)
        say(f"out of memory: from here on micro-batches of {size} sequences; the step is redone")

    cut.keep = tell


def switches_of(training: Training) -> dict[str, Any]:
    """What a run computes with, for its provenance."""
    kernels = [one.kernel for one in _attentions(training.model)]
    return {
        "attention": kernels[0] if kernels else None,
        "micro_batch_size": training.micro_batch.size,
        "compile": training.arm.speed.compile,
    }


def use_kernel(model: nn.Module, kernel: Kernel | None) -> None:
    """Have every attention of ``model`` computed by ``kernel``."""
    for module in _attentions(model):
        module.kernel = kernel


def _attentions(model: nn.Module) -> list[MultiHeadSelfAttention]:
    return [module for module in model.modules() if isinstance(module, MultiHeadSelfAttention)]


def measure(work: Workload, numerics: Numerics, kernels: tuple[Kernel, ...]) -> dict[Kernel, float]:
    """Seconds that each takes forward and backward, with what leaves out padding."""
    return {kernel: shortest(_layer(work, numerics, kernel), numerics.device) for kernel in kernels}


def fastest(seconds: dict[Kernel, float]) -> Kernel:
    """The first, the usual one, unless another is clearly faster."""
    usual, best = next(iter(seconds)), min(seconds, key=lambda kernel: seconds[kernel])
    return best if seconds[best] * CLEARLY < seconds[usual] else usual


def _kernel(
    training: Training, recorded: dict[str, Any], say: Callable[[str], None]
) -> Kernel | None:
    arm, numerics, world = training.arm, training.numerics, training.world
    device_type, asked = numerics.device.type, arm.speed.attention
    work = Workload.of(arm, training.model.encoder, device_type)
    if work is None:
        return None
    if asked != "auto":
        _require(asked, work, numerics)
        return asked
    if recorded.get("device") == device_type:
        kept: Kernel | None = recorded["attention"]
        return kept
    kernels = candidates(device_type, numerics.precision, work.dropout)
    if len(kernels) == 1:
        return kernels[0]
    cache = Path(training.run.resolved()["cache"])
    chosen: Kernel = world.from_main(_timed(work, numerics, kernels, cache) if world.is_main else 0)
    say(f"attention: {chosen}")
    return chosen


def _require(asked: Kernel, work: Workload, numerics: Numerics) -> None:
    device, half = numerics.device.type, numerics.precision != "fp32"
    there = {"cpu": ("products", "torch")}.get(device, ("torch", "flash", "efficient", "varlen"))
    told = f"speed.attention = {asked!r}"
    if asked not in there:
        raise UserError(f"{told}: on {device} there are {', '.join(there)}")
    if asked == "varlen" and (work.dropout or not half):
        raise UserError(
            f"{told}: that kernel takes bf16 and no attention dropout; here there are "
            f"{numerics.precision} and {work.dropout:g}"
        )


def _timed(work: Workload, numerics: Numerics, kernels: tuple[Kernel, ...], cache: Path) -> Kernel:
    """What is on record for such a machine and such work, or what is fastest now."""
    facts = {"work": asdict(work), "numerics": describe(numerics), "kernels": kernels}
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    path = cache / "attention" / f"{name}.json"
    with locked(path):  # so that runs that start together agree
        if not path.exists():
            seconds = measure(work, numerics, kernels)
            write_json(path, {**facts, "seconds": seconds, "chosen": fastest(seconds)})
        chosen: Kernel = json.loads(path.read_text())["chosen"]
    return chosen


def _keep(training: Training, attention: Kernel | None, size: int) -> None:
    if training.world.is_main:
        found = Switches(training.numerics.device.type, attention, size)
        write_json(training.run.path / "switches.json", asdict(found))


def _layer(work: Workload, numerics: Numerics, kernel: Kernel) -> Callable[[], None]:
    module = MultiHeadSelfAttention(work.hidden_size, work.heads, work.dropout).to(numerics.device)
    module.kernel = kernel
    lengths = np.linspace(work.length / 2, work.length, work.rows).round().astype(np.int64)
    real = np.arange(work.length) < lengths[:, None]  # (B, T)
    mask = to_device(torch.from_numpy(real), numerics.device)
    attention = Attention(mask, extents=Extents(mask, lengths))
    layout = attention.packing if kernel == "varlen" else attention.layout
    hidden = torch.randn(*real.shape, work.hidden_size, device=numerics.device)  # (B, T, D)

    def run() -> None:
        with numerics.autocast():
            given: Tensor = hidden if layout is None else layout.lay_out(hidden)
            mixed = module(given, attention)
            whole = mixed if layout is None else layout.put_back(mixed)
        whole.float().sum().backward()

    return run
