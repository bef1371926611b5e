"""Sentence order prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from clozebox.pretraining import passes_of
from clozebox.training.console import Console
from clozebox.training.setup import set_up


def test_it_learns_from_parts_of_one_text_in_either_order(
    make_run: Callable[..., Any], registry: Any
) -> None:
    run = make_run(objectives=["sop"], masking="none", train={"batch_size": 200})
    training = set_up(run, registry, Console().say)
    [batch] = training.batches(0)
    view = training.model.objectives["sop"].view(batch)
    assert view.input_ids is batch.input_ids
    assert view.pair_label is not None
    assert 70 < view.pair_label.sum() < 130, "a fair coin: lone sentences make no pair"
    assert training.arm.examples == "swapped_pair"


def test_both_classes_teach(make_run: Callable[..., Any], registry: Any) -> None:
    training = set_up(make_run(objectives=["sop"], masking="none"), registry, Console().say)
    [batch] = training.batches(0)
    sop = training.model.objectives["sop"]
    view = sop.view(batch)
    hidden = training.model.encode(view)
    log_p = sop.classifier(sop.pooler(hidden)).log_softmax(-1)  # (B, 2)
    assert set(batch.pair_label.tolist()) == {0, 1}
    by_hand = -sum(log_p[row, label] for row, label in enumerate(batch.pair_label.tolist()))
    torch.testing.assert_close(sop(hidden, view)["sop"].loss, by_hand)


def test_it_shares_the_encoder_pass_of_the_masked_language_model(
    make_run: Callable[..., Any], registry: Any
) -> None:
    training = set_up(make_run(objectives=["sop", "hidden"]), registry, Console().say)
    assert len(passes_of(training.model, training.batches(0)[0])) == 1
