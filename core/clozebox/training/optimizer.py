"""AdamW with BERT's exclusions, and a schedule that is a pure function of the budget spent."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import unwrap

import torch
from torch import Tensor, nn

from clozebox.config.settings import Optim
from clozebox.model import parameter_groups


class GuardedAdamW(torch.optim.AdamW):
    """AdamW that leaves everything as it is from the first non-finite gradient on.

    The guard is a flag on the device, given to the fused kernel as gradient scaling gives its own,
    so that no step waits for the host; the loop reads it at log points and stops the run there.
    """

    # torch hides these from its compiler, and imports it to do so: longer than torch itself takes.
    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))

    def __init__(self, model: nn.Module, config: Optim) -> None:
        super().__init__(
            parameter_groups(model, config.weight_decay),
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            eps=config.eps,
            fused=True,
        )
        device = next(model.parameters()).device
        self.updates = 0
        """Begun in this process."""
        self.grad_scale: Tensor | None = None
        self.found_inf = torch.zeros((), device=device)

    def guard(self, grad_norm: Tensor) -> None:
        """Refuse this step and all later ones unless ``grad_norm`` is finite.

        What the update needs is allocated here: if memory runs out, no weight has moved yet.
        """
        self._make_moments()
        self.updates += 1
        self.found_inf = torch.maximum(self.found_inf, (~grad_norm.isfinite()).float())

    @property
    def refused(self) -> bool:
        """Whether a step was refused. Waits for the device."""
        return bool(self.found_inf.item())

    def _make_moments(self) -> None:
        learning = [one for group in self.param_groups for one in group["params"]]
        for parameter in learning:
            if parameter.grad is not None and not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }

    def set_lr(self, lr: float) -> None:
        for group in self.param_groups:
            group["lr"] = lr


def lr_at(progress: float, config: Optim) -> float:
    """Learning rate when ``progress`` (0 to 1) of the budget is spent: warm-up, then schedule."""
    if progress < config.warmup:
        return config.lr * progress / config.warmup
    return config.lr * _SCHEDULES[config.schedule](progress, config)


def _constant(progress: float, config: Optim) -> float:
    return 1.0


def _linear(progress: float, config: Optim) -> float:
    return (1 - progress) / max(1 - config.warmup, 1e-12)


def _cosine(progress: float, config: Optim) -> float:
    after = (progress - config.warmup) / max(1 - config.warmup, 1e-12)
    return 0.5 * (1 + math.cos(math.pi * after))


def _warmup_stable_decay(progress: float, config: Optim) -> float:
    """Constant, then linearly to zero (Hu et al., 2024, MiniCPM, section 4)."""
    return min(1.0, (1 - progress) / max(config.decay, 1e-12))


_SCHEDULES: dict[str, Callable[[float, Optim], float]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "wsd": _warmup_stable_decay,
}
