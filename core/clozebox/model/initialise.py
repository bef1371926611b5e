"""Initial weights, a pure function of (seed, parameter name)."""

from __future__ import annotations

import torch
from torch import nn

from clozebox.data.streams import integer_seed


@torch.no_grad()
def initialise(module: nn.Module, seed: int, std: float = 0.02) -> None:
    """Give every parameter its initial value, in place.

    Matrices and tables: a normal of deviation ``std``, cut at two of them (BERT's
    ``tf.truncated_normal``; what is left has deviation 0.88 ``std``). Biases: 0. LayerNorm: 1, 0.
    Any other vector keeps the constant that its module gave it.

    Each tensor is drawn from a generator of its own, keyed by its name, on the host: adding or
    removing a module, or changing the device, leaves the weights of all others as they were. A tied
    parameter is drawn once, under the first of its names.
    """
    for owner in module.modules():
        if isinstance(owner, nn.LayerNorm):
            owner.reset_parameters()
    for name, parameter in module.named_parameters():
        if name.rpartition(".")[2] == "bias":
            parameter.zero_()
        elif parameter.dim() >= 2:
            generator = torch.Generator().manual_seed(integer_seed(seed, f"init/{name}"))
            drawn = nn.init.trunc_normal_(
                torch.empty(parameter.shape), std=std, a=-2 * std, b=2 * std, generator=generator
            )
            parameter.copy_(drawn)
