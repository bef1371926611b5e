"""Compiling the layers of the encoder: for GPUs, where a step is many small kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from clozebox.errors import UserError
from clozebox.model import BertEncoder, MultiHeadSelfAttention
from clozebox.model.varlen import BUCKETS

SHAPES = 8 * BUCKETS
"""Sizes a layer may be compiled for: those of a whole batch, computed whole and read in part, in
training and in evaluation, and as many of smaller batches."""


def compile_layers(
    encoder: nn.Module, device: torch.device, backend: str | Callable[..., Any] = "inductor"
) -> None:
    """Compile every layer in place; the names of the weights stay.

    Shapes are static: with padding left out a batch has one of a few sizes on a GPU, and on a CPU,
    where it would have a new one each time, padding stays. Attention itself is left to its kernel,
    and dropout draws the numbers that it draws without compiling.

    Raises:
        UserError: nothing here is built of layers.
    """
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    layers = [layer for held in lists for layer in held]
    if not layers:
        raise UserError("speed.compile = true: the encoder holds no layers in a ModuleList")
    if isinstance(encoder, BertEncoder) and device.type == "cpu":
        encoder.leaves_out_unread = False
    for module in encoder.modules():
        if isinstance(module, MultiHeadSelfAttention):
            hidden = torch.compiler.disable(module.mix)  # type: ignore[no-untyped-call]
            module.mix = hidden  # type: ignore[method-assign]
    # Each layer is compiled for every size that a batch may have, and the last one once more for
    # what is read of it; by its own count torch would give up after eight, and say so once.
    from torch._dynamo import config

    config.recompile_limit = max(config.recompile_limit, SHAPES)
    config.accumulated_recompile_limit = max(config.accumulated_recompile_limit, 4 * SHAPES)
    options = {"fallback_random": True, "deterministic": True} if backend == "inductor" else None
    for layer in layers:
        layer.compile(dynamic=False, backend=backend, options=options)
