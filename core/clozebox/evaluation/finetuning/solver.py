"""Linear models by full-batch convex optimisation: no step size, no seed, one answer.

n examples, D features, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_ITERATIONS = 500


class Linear(NamedTuple):
    """x -> x @ weight + bias."""

    weight: Tensor  # (D, K)
    bias: Tensor  # (K,)

    def __call__(self, features: Tensor) -> Tensor:
        """(n, D) -> (n, K)."""
        return features @ self.weight + self.bias


def logistic(
    features: Tensor, classes: Tensor, outputs: int, l2: float, start: Linear | None = None
) -> Linear:
    """Multinomial logistic regression: mean cross-entropy + l2/2 |weight|^2, by L-BFGS.

    features (n, D) float64, classes (n,); ``start`` makes it faster and not another.
    """
    width = features.shape[1]
    if start is None:
        start = Linear(features.new_zeros(width, outputs), features.new_zeros(outputs))
    weight, bias = (part.clone().requires_grad_() for part in start)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=MAX_ITERATIONS,
        history_size=20,
        tolerance_grad=1e-8,
        tolerance_change=1e-13,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(features @ weight + bias, classes) + l2 / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return Linear(weight.detach(), bias.detach())


def ridge(
    features: Tensor, values: Tensor, outputs: int, l2: float, start: Linear | None = None
) -> Linear:
    """Ridge regression: half the mean squared error + l2/2 |weight|^2, in closed form.

    features (n, D) float64, values (n,) -> one output.
    """
    middle, mean = features.mean(0), values.mean()
    centred = features - middle  # (n, D)
    scale = len(features)
    gram = centred.T @ centred / scale  # (D, D)
    gram.diagonal().add_(l2)
    weight = torch.linalg.solve(gram, centred.T @ (values - mean) / scale)[:, None]  # (D, 1)
    return Linear(weight, mean - middle @ weight)
