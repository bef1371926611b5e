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
    device = _device(speed.device)
    if precision == "bf16" and not has_bf16(device):
        raise UserError(
            f'train.precision = "bf16": {device.type} on this machine has no bf16 arithmetic '
            '(it would be emulated, many times slower); use "fp32"'
        )
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before writing it; filling it all would cost some per cent.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return Numerics(device, precision)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"speed.device = {name!r} cannot be used here: {reason}") from None
    return device


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
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
