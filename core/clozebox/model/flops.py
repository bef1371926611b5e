"""What a model costs, in floating-point operations, counted from its shape and never timed.

A multiply-add is two operations. Matrix products and attention count, element-wise work does not;
attention counts dense, causal too (Hoffmann et al., 2022, appendix F).
"""

from __future__ import annotations

from clozebox.components import ModelShape

BACKWARD_OVER_FORWARD = 2


def encoder_flops(shape: ModelShape, tokens: int) -> int:
    """Forward operations of a Transformer encoder on one sequence of ``tokens``."""
    width, inner = shape.hidden_size, shape.intermediate_size
    projections = 2 * tokens * (4 * width * width + 2 * width * inner)
    scores_and_mixing = 4 * tokens * tokens * width
    return shape.num_hidden_layers * (projections + scores_and_mixing)


def token_head_flops(shape: ModelShape) -> int:
    """Forward operations of the token head on one predicted token."""
    return 2 * shape.hidden_size * (shape.hidden_size + shape.vocab_size)


def training_flops(shape: ModelShape, tokens: int, predicted: float) -> float:
    """Forward and backward of one sequence, of whose ``tokens`` (on average) ``predicted`` are."""
    forward = encoder_flops(shape, tokens) + predicted * token_head_flops(shape)
    return (1 + BACKWARD_OVER_FORWARD) * forward
