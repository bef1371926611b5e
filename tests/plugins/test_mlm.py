"""Masked language modelling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from clozebox.pretraining import IGNORE_INDEX
from clozebox.training.console import Console
from clozebox.training.setup import set_up


def test_the_loss_is_the_cross_entropy_of_the_hidden_tokens(
    make_run: Callable[..., Any], registry: Any
) -> None:
    training = set_up(make_run(objectives=["mlm"]), registry, Console().say)
    [batch] = training.batches(0)
    mlm = training.model.objectives["mlm"]
    view = mlm.view(batch)
    hidden = training.model.encode(view)
    term = mlm(hidden, view)["mlm"]
    logits = mlm.head(hidden).log_softmax(-1)  # (B, T, V), at every position for once
    by_hand = torch.tensor(0.0)
    right = 0
    for sequence, column in (view.labels != IGNORE_INDEX).nonzero().tolist():
        truth = batch.input_ids[sequence, column]
        by_hand = by_hand - logits[sequence, column, truth]
        right += int(logits[sequence, column].argmax() == truth)
    torch.testing.assert_close(term.loss, by_hand)
    assert term.metrics["accuracy"] == right


def test_it_starts_from_knowing_nothing(make_run: Callable[..., Any], registry: Any) -> None:
    training = set_up(make_run(objectives=["mlm"]), registry, Console().say)
    [batch] = training.batches(0)
    mlm = training.model.objectives["mlm"]
    term = mlm(training.model.encode(batch.masked), batch.masked)["mlm"]
    mean = term.loss.item() / mlm.targets(batch)["mlm"].count.item()
    assert abs(mean - math.log(training.model.shape.vocab_size)) < 0.1
