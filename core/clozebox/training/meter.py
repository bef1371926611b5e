"""Sums since the last log point, kept on the device until someone asks."""

from __future__ import annotations

import torch
from torch import Tensor

from clozebox.pretraining.passes import means
from clozebox.training.distributed import ALONE, World
from clozebox.training.step import StepSums

EVERYWHERE = ("steps", "grad_norm")
"""What each rank holds whole, and not a part of it."""


class Meter:
    """Means over the targets seen, not means of means; one transfer for each reading."""

    def __init__(self, settled: dict[str, float] | None = None) -> None:
        self.settled = dict(settled or {})
        self._pending: dict[str, Tensor] = {}

    def add(self, step: StepSums) -> None:
        found = {f"sum/{name}": value for name, value in step.sums.items()}
        found |= {f"count/{name}": value for name, value in step.counts.items()}
        found |= {"tokens": step.tokens, "steps": torch.ones_like(step.tokens)}
        found |= {"flops": step.flops, "grad_norm": step.grad_norm}
        for name, value in found.items():
            held = self._pending.get(name)
            self._pending[name] = value.double() if held is None else held + value

    def settle(self, world: World = ALONE) -> dict[str, float]:
        """Bring what is pending on all ranks to the host, and return what is new.

        Waits for the device.
        """
        if not self._pending:
            return {}
        pending = world.add_up(self._pending)
        values: list[float] = torch.stack(list(pending.values())).tolist()
        new = dict(zip(pending, values, strict=True))
        for name in EVERYWHERE:
            new[name] /= world.size
        self._pending = {}
        for name, value in new.items():
            self.settled[name] = self.settled.get(name, 0.0) + value
        return new

    def take(self) -> dict[str, float]:
        """The means since the last ``take``, as ``mlm_loss``, ``mlm_accuracy``, ``grad_norm``."""
        sums, self.settled = self.settled, {}
        found = means(_with_prefix("sum/", sums), _with_prefix("count/", sums))
        return {**found, "grad_norm": sums["grad_norm"] / sums["steps"]}


def _with_prefix(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
