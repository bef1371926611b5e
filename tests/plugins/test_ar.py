"""The auto-regressive baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from clozebox.pretraining import IGNORE_INDEX
from clozebox.training.console import Console
from clozebox.training.setup import Training, set_up


@pytest.fixture
def training(make_run: Callable[..., Any], registry: Any) -> Training:
    run = make_run(objectives=["ar_forward", "ar_backward"], masking="none")
    made = set_up(run, registry, Console().say)
    made.model.eval()
    return made


@pytest.mark.parametrize(("name", "step"), [("ar_forward", +1), ("ar_backward", -1)])
def test_each_position_predicts_its_neighbour_from_its_own_side_alone(
    training: Training, name: str, step: int
) -> None:
    [batch] = training.batches(0)
    view = training.model.objectives[name].view(batch)
    labelled = (view.labels != IGNORE_INDEX).nonzero().tolist()
    assert labelled
    assert all(view.labels[b, t] == batch.input_ids[b, t + step] for b, t in labelled)
    before = training.model.encode(view)
    for column in range(1, 19):
        ids = view.input_ids.clone()
        ids[:, column] = (ids[:, column] + 3) % training.model.shape.vocab_size
        after = training.model.encode(replace(view, input_ids=ids))
        blind = slice(0, column) if step == 1 else slice(column + 1, None)
        real = batch.attention_mask[:, blind]
        assert torch.allclose(before[:, blind][real], after[:, blind][real], atol=1e-6)
        assert not torch.allclose(before[:, column], after[:, column], atol=1e-3)


def test_both_directions_score_the_same_number_of_tokens(training: Training) -> None:
    [batch] = training.batches(0)
    forward, backward = training.model.objectives.values()
    [ahead] = forward.targets(forward.view(batch)).values()
    [behind] = backward.targets(backward.view(batch)).values()
    assert ahead == behind == (batch.attention_mask.sum(1) - 1).sum()


@pytest.mark.parametrize("name", ["ar_forward", "ar_backward"])
def test_a_cloze_asks_for_the_chosen_tokens_and_no_others(training: Training, name: str) -> None:
    [batch] = training.batches(0)
    chosen = ~batch.special_tokens_mask & (batch.uniform("test") < 0.3)
    view = training.model.objectives[name].cloze(batch, chosen)
    asked = view.labels[view.labels != IGNORE_INDEX]
    assert sorted(asked.tolist()) == sorted(batch.input_ids[chosen].tolist())
