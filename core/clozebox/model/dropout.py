"""Dropout whose numbers cost little on a CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 2**16
"""Two random bytes a number: the probability is met to 1 part in 65,536."""


class Dropout(nn.Dropout):
    """``nn.Dropout``; on a CPU, where that draws its numbers one by one, several times as fast."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape -> the same."""
        return dropout(input, self.p if self.training else 0.0)


def dropout(input: Tensor, p: float) -> Tensor:
    """Each number becomes 0 with probability ``p``, and is scaled up to keep its mean otherwise."""
    if input.device.type != "cpu" or p in (0.0, 1.0):
        return F.dropout(input, p)
    dropped: Tensor = _ByteDropout.apply(input, round(p * _LEVELS))  # type: ignore[no-untyped-call]
    return dropped


class _ByteDropout(torch.autograd.Function):
    """Drops ``level`` of 65,536. Numbers come from torch's own generator, two from each draw."""

    @staticmethod
    def forward(context: Any, input: Tensor, level: int) -> Tensor:
        draws = torch.empty((input.numel() + 1) // 2, dtype=torch.int32)
        draws.random_(-(2**31), 2**31 - 1)
        numbers = draws.view(torch.int16)[: input.numel()].view(input.shape)
        keep = numbers >= level - _LEVELS // 2
        context.save_for_backward(keep)
        context.scale = _LEVELS / (_LEVELS - level)
        return (input * keep).mul_(context.scale)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (keep,) = context.saved_tensors
        return (gradient * keep).mul_(context.scale), None
