"""The auto-regressive baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from clozebox.pretraining import IGNORE_INDEX, passes_of
from clozebox.training.console import Console
from clozebox.training.setup import Training, set_up
from clozebox.training.step import train_step


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
    [ahead] = forward.targets(batch).values()
    [behind] = backward.targets(batch).values()
    assert ahead.count == behind.count == (batch.attention_mask.sum(1) - 1).sum()


def test_both_directions_in_one_model_are_two_passes_through_two_heads(training: Training) -> None:
    made = passes_of(training.model, training.batches(0)[0])
    assert [[objective.name for objective in one.objectives] for one in made] == [
        ["ar_forward"],
        ["ar_backward"],
    ]
    assert [one.view.attention.kind for one in made] == ["causal", "anticausal"]
    forward, backward = training.model.each_objective()
    assert forward.head.dense is not backward.head.dense
    assert forward.head.token_table is backward.head.token_table


def test_both_directions_can_share_a_head(make_run: Callable[..., Any], registry: Any) -> None:
    run = make_run(
        objectives=["ar_forward", "ar_backward"],
        objective={"ar_backward": {"head": "ar_forward"}},
        masking="none",
    )
    model = (training := set_up(run, registry, Console().say)).model
    forward, backward = model.each_objective()
    assert forward.head is backward.head
    assert not [name for name, _ in model.named_parameters() if "ar_backward" in name]
    shared = forward.head.dense.weight
    gradients = []
    for one in passes_of(model, training.batches(0)[0]):
        [term] = one.objectives[0](model.encode(one.view), one.view).values()
        gradients += torch.autograd.grad(term.loss, shared)
    assert all(gradient.any() for gradient in gradients)
    assert not torch.allclose(*gradients)


def test_both_directions_learn_together(make_run: Callable[..., Any], registry: Any) -> None:
    run = make_run(objectives=["ar_forward", "ar_backward"], masking="none")
    training = set_up(run, registry, Console().say)
    training.optimizer.set_lr(0.01)
    batches, both = training.batches(0), training.model.each_objective()
    steps = [train_step(training, both, batches).sums for _ in range(60)]
    for name in ("ar_forward_loss", "ar_backward_loss"):
        assert steps[-1][name] < 0.4 * steps[0][name]
