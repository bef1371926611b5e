"""Where a run computes, and in what precision."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from clozebox.config.settings import Speed
from clozebox.errors import UserError
from clozebox.training.memory import keep_memory, let_segments_grow

FP32_PRODUCT_ERROR = 2e-6
"""A product of bf16 roundings is about a thousand times worse than this."""
BF16_AT_MOST = 4.0
"""Times as long as in fp32. What has bf16 takes half as long; emulated it takes up to 500 times."""


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
    let_segments_grow()
    device = _device(speed.device)
    if precision == "bf16" and (fault := bf16_fault(device)):
        raise UserError(
            f'train.precision = "bf16": {device.type} on this machine {fault}; use fp32'
        )
    if device.type == "cpu":
        choose_matmul(speed.products)
        if speed.keep_memory:
            keep_memory()
    # As use_deterministic_algorithms does, which would also import the compiler: a second.
    torch.set_deterministic_debug_mode("warn")
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


def choose_matmul(products: Literal["auto", "torch"] = "auto") -> None:
    """Let oneDNN multiply fp32 on the CPU, wherever what it computes then still is fp32; or let
    torch choose, as it does by itself.

    The switch allows it to round to bf16, and is the only way to reach its kernels. On a chip
    with AVX-512 and no AMX it does not round, and is about twice as fast as the default; on others
    it may. So it is tried once, and kept only if the product is as exact as fp32 products are.
    """
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    matmul.fp32_precision = "bf16" if products == "auto" else "none"
    if product_error() > FP32_PRODUCT_ERROR:
        matmul.fp32_precision = "none"


def product_error() -> float:
    """The largest error of an fp32 matrix product, relative to its largest element."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = left.double() @ right.double()
    return ((left @ right).double() - exact).abs().max().item() / exact.abs().max().item()


def has_bf16(device: torch.device) -> bool:
    """Whether the chip multiplies bf16 itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if platform.machine() not in ("x86_64", "AMD64"):
        return True  # an Arm core does not say; the time that it takes does
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def bf16_fault(device: torch.device) -> str | None:
    """Why bf16 is of no use there, if it is of none: the chip says it has none, or it is slow."""
    if not has_bf16(device):
        return "has no bf16 arithmetic (it would be emulated, many times slower)"
    ratio = bf16_time(device)
    return None if ratio <= BF16_AT_MOST else f"takes {ratio:.0f} times as long in bf16 as in fp32"


def bf16_time(device: torch.device) -> float:
    """How long a matrix product takes in bf16, in units of the same in fp32."""
    single = torch.ones(256, 256, device=device)
    half = single.bfloat16()
    return shortest(lambda: half @ half, device) / shortest(lambda: single @ single, device)


def shortest(work: Callable[[], object], device: torch.device, times: int = 5) -> float:
    """Seconds until the device is through with ``work``, the best of ``times`` after one more."""
    found = []
    for _ in range(times + 1):
        _wait_for(device)
        begun = time.perf_counter()
        work()
        _wait_for(device)
        found.append(time.perf_counter() - begun)
    return min(found[1:])


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


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
