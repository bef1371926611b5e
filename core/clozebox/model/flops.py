"""What a model costs, in floating-point operations, counted from its shape and never timed.

A multiply-add is two operations; backward costs twice the forward. Matrix products and attention
count, element-wise work does not; attention counts dense, causal too (Hoffmann et al., 2022,
appendix F).
"""

from __future__ import annotations

from torch import nn

from clozebox.components import ModelShape

FORWARD_AND_BACKWARD = 3


def encoder_flops(shape: ModelShape, tokens: int) -> int:
    """Forward operations of a Transformer encoder on one sequence of ``tokens``."""
    width, inner = shape.hidden_size, shape.intermediate_size
    projections = 2 * tokens * (4 * width * width + 2 * width * inner)
    scores_and_mixing = 4 * tokens * tokens * width
    return shape.num_hidden_layers * (projections + scores_and_mixing)


def head_flops(head: nn.Module) -> int:
    """Forward operations of a head for one target: each of its matrices, once.

    Of a token head, the vocabulary projection is one: only predicted positions are projected.
    """
    return 2 * sum(weight.numel() for weight in head.parameters() if weight.dim() == 2)
