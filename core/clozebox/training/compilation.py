"""Compiling the layers of the encoder: for GPUs, where a step is many small kernels."""

from __future__ import annotations

import torch
from torch import nn

from clozebox.errors import UserError
from clozebox.model import BertEncoder, MultiHeadSelfAttention


def compile_layers(encoder: nn.Module, device: torch.device, backend: str = "inductor") -> None:
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
    options = {"fallback_random": True, "deterministic": True} if backend == "inductor" else None
    for layer in layers:
        layer.compile(dynamic=False, backend=backend, options=options)
