"""Cross-entropy over a large vocabulary, in one buffer.

M targets, K classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Summed(NamedTuple):
    """Over the targets, each ()."""

    loss: Tensor
    """Nats, fp32."""
    hits: Tensor
    """How often the likeliest class is the label."""


def cross_entropy(logits: Tensor, labels: Tensor, ignored: int) -> Summed:
    """logits (M, K) in any precision, labels (M,) -> loss and hits, summed.

    Targets whose label is ``ignored`` add nothing and have no gradient. The same as torch's own,
    which keeps three more tensors of (M, K) and fills each: at BERT's 30,522 classes most of what a
    small model moves through memory.
    """
    return Summed(*_CrossEntropy.apply(logits, labels, ignored))  # type: ignore[no-untyped-call]


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, logits: Tensor, labels: Tensor, ignored: int
    ) -> tuple[Tensor, Tensor]:
        counted = labels != ignored  # (M,)
        index = labels.masked_fill(~counted, 0)[:, None]  # (M, 1)
        probabilities = logits.softmax(1, dtype=torch.float32)  # (M, K)
        largest, at = logits.max(1, keepdim=True)  # (M, 1)
        # The logarithm of the sum of exponentials, from the one probability that is never small.
        total = largest.float() - probabilities.gather(1, at).log()  # (M, 1)
        context.save_for_backward(probabilities, index, counted)
        context.kind = logits.dtype
        loss = ((total - logits.gather(1, index).float())[:, 0] * counted).sum()
        hits = (at[:, 0] == labels).sum()  # no class is called as what is ignored is
        context.mark_non_differentiable(hits)
        return loss, hits

    @staticmethod
    def backward(context: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        probabilities, index, counted = context.saved_tensors
        each = (gradient * counted)[:, None]  # (M, 1)
        # Not in place: backward may be asked for twice.
        found = probabilities * each  # (M, K)
        found.scatter_add_(1, index, -each)
        return found.to(context.kind), None, None
