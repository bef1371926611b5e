"""Which kernel computes attention: what there is, and how torch is asked for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kernel = Literal["products", "torch", "flash", "efficient", "varlen"]
"""``products``: one product after the other, on a CPU. ``torch``: whatever torch takes. The others
are CUDA's: FlashAttention, memory-efficient attention (either falls back on the other where it
cannot), and FlashAttention on real tokens alone, end to end (see ``varlen.py``)."""

_WARN, _ERROR = 1, 2


def candidates(device_type: str, precision: str, dropout: float) -> tuple[Kernel, ...]:
    """The kernels worth timing, the usual one first.

    With dropout on a CPU there is one: torch's own falls back to products there, and draws its
    numbers one by one. cuDNN's is none: its backward pass is not the same to the bit each time.
    """
    if device_type == "cpu":
        return ("products",) if dropout else ("products", "torch")
    if precision == "fp32":
        return ("efficient",)  # the others take half precision only
    return ("flash", "efficient") if dropout else ("flash", "efficient", "varlen")


def fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    p: float,
    is_causal: bool,
    kernel: Kernel | None,
) -> Tensor:
    """query, key, value (B, N, T, H) -> (B, N, T, H), by torch's kernel."""
    if query.device.type != "cuda":
        return F.scaled_dot_product_attention(query, key, value, mask, p, is_causal)
    with _preferring(kernel):
        mixed = F.scaled_dot_product_attention(query, key, value, mask, p, is_causal)
    exact_backward(query, mixed)
    return mixed


@contextmanager
def _preferring(kernel: Kernel | None) -> Iterator[None]:
    """Within it torch takes this kernel where it can."""
    if kernel == "torch":
        yield
        return
    # Imported here: a run on a CPU has no use for it.
    from torch.nn.attention import SDPBackend, sdpa_kernel

    flash, efficient = SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION
    order = [efficient, flash] if kernel == "efficient" else [flash, efficient]
    with sdpa_kernel([*order, SDPBackend.MATH], set_priority=True):
        yield


def exact_backward(query: Tensor, mixed: Tensor) -> None:
    """Have the backward pass between the two give the same bits each time.

    Where torch is to warn of what differs from time to time, and not to fail, its fused attention
    sums in any order all the same. So it is to fail, from just before that pass to just after it.
    """
    warns = torch.get_deterministic_debug_mode() == _WARN
    if warns and query.requires_grad and mixed.requires_grad:
        mixed.register_hook(partial(_set_mode, _ERROR))  # type: ignore[no-untyped-call]
        query.register_hook(partial(_set_mode, _WARN))  # type: ignore[no-untyped-call]


def _set_mode(mode: int, gradient: Tensor) -> None:
    torch.set_deterministic_debug_mode(mode)
