"""What a run would find out about a device, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from clozebox.training.device import Numerics

Finding = tuple[str, str]
"""Its name, and what it says."""


def findings(device: torch.device) -> Iterator[Finding]:
    """Each is tried, as a run tries it; a second or two on a CPU."""
    from clozebox.training.device import Numerics, bf16_fault, bf16_time

    if device.type == "cpu":
        yield "fp32", _products()
        yield "memory", _memory()
    fault = bf16_fault(device)
    yield "bf16", fault or f"{1 / bf16_time(device):.1f} times the speed of fp32"
    for precision in ("fp32",) if fault else ("fp32", "bf16"):
        for dropout in (0.1, 0.0):
            yield "attention", _attention(Numerics(device, precision), dropout)


def _products() -> str:
    import torch

    from clozebox.training.device import choose_matmul, product_error

    choose_matmul()
    fast = torch.backends.mkldnn.matmul.fp32_precision == "bf16"  # type: ignore[attr-defined]
    kernels = "oneDNN's, which do not round here" if fast else "torch's usual ones"
    return f"products by {kernels} (error {product_error():.0e})"


def _memory() -> str:
    from clozebox.training.memory import keep_memory

    return "kept between steps" if keep_memory() else "handed back and asked for again (no glibc)"


def _attention(numerics: Numerics, dropout: float) -> str:
    """For BERT-base at 128 tokens; a run times its own shape."""
    from clozebox.model.kernels import candidates
    from clozebox.training.switches import Workload, fastest, measure

    told = f"{numerics.precision}, dropout {dropout:g}: "
    kernels = candidates(numerics.device.type, numerics.precision, dropout)
    if len(kernels) == 1:
        return f"{told}{kernels[0]}"
    work = Workload(rows=8, length=128, hidden_size=768, heads=12, dropout=dropout)
    seconds = measure(work, numerics, kernels)
    times = ", ".join(f"{kernel} {1e3 * found:.1f} ms" for kernel, found in seconds.items())
    return f"{told}{fastest(seconds)} ({times})"
