"""A tiny model learns a tiny set by heart, at the price that the objective states."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clozebox.testing.objective.case import ObjectiveCase, run, terms_of
from clozebox.testing.verdict import Violation

ROWS = 6
STEPS = 150
LEARNT = 0.5
"""The share of its first value below which a loss that can be learnt must have fallen."""


def it_learns(case: ObjectiveCase) -> None:
    batch = case.batch(ROWS)
    model = case.bench.model([case.config]).float()
    [objective] = model.each_objective()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    targets = objective.targets(batch)
    first: dict[str, float] = {}
    lowest: dict[str, float] = {}
    for _ in range(STEPS):
        terms = terms_of(model, objective, batch)
        means = {name: term.loss / targets[name].count for name, term in terms.items()}
        first = first or {name: mean.item() for name, mean in means.items()}
        lowest = {n: min(mean.item(), lowest.get(n, mean.item())) for n, mean in means.items()}
        if all(lowest[name] < LEARNT * first[name] for name in first):
            return
        loss = torch.stack([terms[name].weight * mean for name, mean in means.items()]).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    told = ", ".join(f"{n}: {first[n]:.3f}, then {lowest[n]:.3f}" for n in first)
    raise Violation(f"after {STEPS} steps on {ROWS} sequences the losses are hardly lower ({told})")


def the_stated_flops_are_right(case: ObjectiveCase) -> None:
    batch = case.batch(12)
    targets = case.objective.targets(batch)
    stated = sum(int(one.count) * one.flops_each + one.flops_besides for one in targets.values())
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # the CPU's fused kernel is not counted
        with FlopCounterMode(display=False) as making:
            view = case.objective.view(batch)
        hidden = case.sharp.encode(view)
        with FlopCounterMode(display=False) as reading:
            run(case.objective, hidden, view)
    counted = making.get_total_flops() + reading.get_total_flops()
    if abs(stated - counted) > 0.01 * max(counted, 1):
        raise Violation(
            f"targets states {stated:,} forward operations for a batch; torch counts {counted:,}"
        )
