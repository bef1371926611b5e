"""A tiny model learns a tiny set by heart, at the price that the objective states."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clozebox.model import BertEncoder
from clozebox.pretraining import Targets, Terms
from clozebox.testing.objective.case import ObjectiveCase, run, terms_of
from clozebox.testing.verdict import Violation

ROWS = 6
STEPS = 150
LEARNT = 0.3
"""The share of its first value below which a loss that can be learnt must have fallen."""
AT_LEAST = 50
"""Steps in which a model of this size comes to be right, and not only less wrong."""


def it_learns(case: ObjectiveCase) -> None:
    batch = case.batch(ROWS)
    model = case.bench.model([case.config]).float()
    [objective] = model.each_objective()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    targets = objective.targets(batch)
    first: dict[str, float] = {}
    lowest: dict[str, float] = {}
    for step in range(STEPS):
        terms = terms_of(model, objective, batch)
        means = {name: term.loss / targets[name].count for name, term in terms.items()}
        first = first or {name: mean.item() for name, mean in means.items()}
        lowest = {n: min(mean.item(), lowest.get(n, mean.item())) for n, mean in means.items()}
        _hits_are_as_the_loss_says(terms, targets)
        if step >= AT_LEAST and all(lowest[name] < LEARNT * first[name] for name in first):
            return
        loss = torch.stack([terms[name].weight * mean for name, mean in means.items()]).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    told = ", ".join(f"{n}: {first[n]:.3f}, then {lowest[n]:.3f}" for n in first)
    raise Violation(f"after {STEPS} steps on {ROWS} sequences the losses are hardly lower ({told})")


def _hits_are_as_the_loss_says(terms: Terms, targets: Mapping[str, Targets]) -> None:
    """Who is wrong gives the answer one half at most, and pays ln 2 at least."""
    for name, term in terms.items():
        if (hits := term.metrics.get("accuracy")) is None:
            continue
        count, loss = int(targets[name].count), term.loss.item()
        if hits.item() < count - loss / math.log(2) - 1e-3:
            raise Violation(
                f"{name} pays {loss:.3f} for {count} targets, which cannot be with "
                f"{int(hits)} hits: each target that is missed costs ln 2 or more"
            )


def the_stated_flops_are_right(case: ObjectiveCase) -> None:
    batch = case.batch(12)
    with FlopCounterMode(display=False) as asking:
        targets = case.objective.targets(batch)
    if asked := asking.get_total_flops():
        raise Violation(f"to be asked for targets takes {asked:,} operations; count, run nothing")
    stated = sum(int(one.count) * one.flops_each + one.flops_besides for one in targets.values())
    # Stated is what a whole row costs, padding included, on any machine.
    inside = [one for one in case.objective.modules() if isinstance(one, BertEncoder)]
    for encoder in inside:
        encoder.leaves_out_unread = False
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # the CPU's fused kernel is not counted
        with FlopCounterMode(display=False) as making:
            view = case.objective.view(batch)
        hidden = case.sharp.encode(view)
        with FlopCounterMode(display=False) as reading:
            run(case.objective, hidden, view)
    for encoder in inside:
        encoder.leaves_out_unread = True
    counted = making.get_total_flops() + reading.get_total_flops()
    if abs(stated - counted) > 0.01 * max(counted, 1):
        raise Violation(
            f"targets states {stated:,} forward operations for a batch; torch counts {counted:,}"
        )
