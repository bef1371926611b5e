"""From the host to the device, without waiting."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """``tensor``, which is on the host, on ``device``.

    Only from pinned memory does the copy run beside the host; torch keeps such memory for the next
    time, and does not hand it out before the copy is through.
    """
    target = torch.device(device)
    if target.type == "cuda":
        return tensor.pin_memory().to(target, non_blocking=True)
    return tensor.to(target)
