"""Next sentence prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from clozebox.pretraining import passes_of
from clozebox.training.console import Console
from clozebox.training.setup import set_up


def test_both_classes_teach(make_run: Callable[..., Any], registry: Any) -> None:
    """A class that never gets a gradient is a real bug of a much-copied implementation."""
    training = set_up(make_run(objectives=["nsp"], masking="none"), registry, Console().say)
    nsp = training.model.objectives["nsp"]
    for label in (0, 1):
        [batch] = training.batches(0)
        view = nsp.view(batch)
        wanted = view.pair_label == label
        assert wanted.any()
        logits = nsp.classifier(nsp.pooler(training.model.encode(view)))
        logits.retain_grad()
        torch.nn.functional.cross_entropy(logits, view.pair_label, reduction="sum").backward()
        assert (logits.grad[wanted, label] < 0).all()
        assert (logits.grad[~wanted, label] > 0).all()


def test_it_shares_the_encoder_pass_of_the_masked_language_model(
    make_run: Callable[..., Any], registry: Any
) -> None:
    run = make_run(objectives=["nsp", "hidden"])
    training = set_up(run, registry, Console().say)
    assert len(passes_of(training.model, training.batches(0)[0])) == 1
