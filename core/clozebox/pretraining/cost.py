"""What a target costs, in floating-point operations, counted and never timed.

A multiply-add is two operations; backward costs twice the forward. Matrix products and attention
count, element-wise work does not (Hoffmann et al., 2022, appendix F). The encoder states its own.
"""

from __future__ import annotations

from clozebox.pretraining.objective import Objective

FORWARD_AND_BACKWARD = 3


def head_flops_per_target(objective: Objective) -> int:
    """Forward operations of an objective's head for one target: each of its matrices, once.

    The vocabulary projection is among them, since it is made at predicted positions only.
    """
    return 2 * sum(weight.numel() for weight in objective.parameters() if weight.dim() == 2)
