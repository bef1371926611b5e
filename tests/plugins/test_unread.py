"""Leaving out what nobody reads changes no loss and no gradient of any objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.plugins.test_flops import CHOICES
from torch import Tensor

from clozebox.pretraining import PretrainingModel
from clozebox.pretraining.passes import forward, passes_of
from clozebox.registry import Registry
from clozebox.training.console import Console
from clozebox.training.setup import set_up

FEW = {"mlm", "nsp", "mlm+nsp", "mlm+sop", "mntp"}
"""Those that read fewer positions than three in four."""


@pytest.mark.parametrize("choice", CHOICES)
def test_losses_and_gradients_stay(
    make_run: Callable[..., Any], registry: Registry, choice: str
) -> None:
    objectives = CHOICES[choice]
    if not set(objectives) <= set(registry.names("objective")):
        pytest.skip("its plugin was taken out")
    needs_masking = any(registry.get("objective", name).needs_masking for name in objectives)
    run = make_run(
        objectives=objectives,
        encoder={"name": "bert", "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0},
        masking={"name": "toy", "rate": 0.3} if needs_masking else "none",
    )
    training = set_up(run, registry, Console().say)
    [batch] = training.batches(0)
    model, fed = training.model, []
    last = model.encoder.layers[-1].intermediate  # type: ignore[union-attr, index]
    last.register_forward_hook(lambda _, given, __: fed.append(given[0].shape[:-1].numel()))  # type: ignore[union-attr]
    found = []
    for leaves_out in (True, False):
        for module in model.modules():
            if hasattr(module, "leaves_out_unread"):
                module.leaves_out_unread = leaves_out
        found.append(gradients(model, [forward(model, one) for one in passes_of(model, batch)]))
    for name, (ours, plain) in {n: (found[0][n], found[1][n]) for n in found[1]}.items():
        torch.testing.assert_close(
            ours, plain, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )
    if choice in FEW:
        assert fed[0] < 0.6 * fed[-1], "something was left out"


def gradients(model: PretrainingModel, each: list[Any]) -> dict[str, Tensor]:
    """The losses, and what they ask of every parameter."""
    model.zero_grad(set_to_none=True)
    losses = {name: term.loss for terms in each for name, term in terms.items()}
    torch.stack(list(losses.values())).sum().backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {**{name: loss.detach() for name, loss in losses.items()}, **grads}
