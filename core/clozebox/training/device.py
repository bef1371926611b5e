"""Where a run computes, and in what precision."""

from __future__ import annotations

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from clozebox.config.settings import Speed
from clozebox.errors import UserError
from clozebox.training.memory import keep_memory

FP32_PRODUCT_ERROR = 2e-6
"""A product of bf16 roundings is about a thousand times worse than this."""


@dataclass(frozen=True)
class Numerics:
    """The device, and the type in which matrix products are taken."""

    device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[object]:
        """bf16 matrix products with fp32 weights, sums and losses; nothing at all in fp32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def numerics_of(speed: Speed, precision: str) -> Numerics:
    """The device that ``speed.device`` names, made ready.

    Raises:
        UserError: no such device here, or one that has no bf16.
    """
    if speed.threads is not None:
        torch.set_num_threads(speed.threads)
    # Read when the first product is taken; without it cuBLAS may choose other kernels each time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = _device(speed.device)
    if precision == "bf16" and not has_bf16(device):
        raise UserError(
            f'train.precision = "bf16": {device.type} on this machine has no bf16 arithmetic '
            '(it would be emulated, many times slower); use "fp32"'
        )
    if device.type == "cpu":
        choose_matmul()
        if speed.keep_memory:
            keep_memory()
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before writing it; filling it all would cost some per cent.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return Numerics(device, precision)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(
            f"speed.device = {name!r}: there is no such device here; auto, cpu, cuda and cuda:<n> "
            "are what it may be"
        ) from None
    return device


def choose_matmul() -> None:
    """Let oneDNN multiply fp32 on the CPU, wherever what it computes then still is fp32.

    The switch allows it to round to bf16, and is the only way to reach its kernels. On a chip
    with AVX-512 and no AMX it does not round, and is about twice as fast as the default; on others
    it may. So it is tried once, and kept only if the product is as exact as fp32 products are.
    """
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    if _matmul_error() > FP32_PRODUCT_ERROR:
        matmul.fp32_precision = before


def _matmul_error() -> float:
    """The largest error of an fp32 matrix product, relative to its largest element."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = left.double() @ right.double()
    return ((left @ right).double() - exact).abs().max().item() / exact.abs().max().item()


def has_bf16(device: torch.device) -> bool:
    """Whether the chip multiplies bf16 itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # x86 says so in its flags; an Arm core that has it is told apart by torch alone.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def describe(numerics: Numerics) -> dict[str, Any]:
    """What must agree for two runs to agree to the bit."""
    on_gpu = numerics.device.type == "cuda"
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(numerics.device) if on_gpu else platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "cuda": torch.version.cuda if on_gpu else None,
        "precision": numerics.precision,
        "mkldnn_matmul": torch.backends.mkldnn.matmul.fp32_precision,  # type: ignore[attr-defined]
    }
