"""Yardsticks are the same for every arm, and looking never changes what is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from clozebox.errors import UserError
from clozebox.evaluation import mean_losses, view_losses
from clozebox.evaluation.fill import fill
from clozebox.pretraining import passes_of
from clozebox.training.console import Console
from clozebox.training.loop import evaluate
from clozebox.training.setup import Training, set_up


@pytest.fixture
def ready(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    def make(name: str = "run", seed: int = 0, **changes: Any) -> Training:
        return set_up(make_run(name, seed=seed, **changes), registry, Console().say)

    return make


def held_out_batches(training: Training, own: bool = False) -> list[Any]:
    return list(training.held_out.batches(40, own))


def test_every_arm_and_seed_meets_the_same_text_under_the_same_masks(
    ready: Callable[..., Training],
) -> None:
    one = held_out_batches(ready("one", seed=0))
    other = held_out_batches(ready("other", seed=7, train={"batch_size": 5}))
    for name in ("input_ids", "attention_mask"):
        first = torch.cat([getattr(batch, name) for batch in one])
        second = torch.cat([getattr(batch, name) for batch in other])
        assert torch.equal(first, second)
    labels = [torch.cat([batch.masked.labels for batch in batches]) for batches in (one, other)]
    assert torch.equal(*labels)


def test_held_out_documents_are_not_trained_on(ready: Callable[..., Training]) -> None:
    training = ready(train={"held_out": 0.3})
    split = training.store.split(0.3)
    assert set(split.train.tolist()).isdisjoint(split.held_out.tolist())
    assert len(split.train) + len(split.held_out) == training.store.num_documents


def test_a_few_sequences_come_from_all_over_the_held_out_documents(
    ready: Callable[..., Training],
) -> None:
    held_out = ready(train={"held_out": 0.5}).held_out
    whole = held_out.single.in_order(0, len(held_out.single)).input_ids.tolist()
    few = [row.tolist() for batch in held_out.batches(15) for row in batch.input_ids]
    places = [whole.index(row) for row in few]
    assert min(places) < len(whole) / 3
    assert max(places) > len(whole) * 2 / 3


def test_means_are_over_targets_and_not_over_batches(ready: Callable[..., Training]) -> None:
    training = ready()
    training.model.eval()
    batches = held_out_batches(training)
    whole = mean_losses(training.model, batches, training.numerics)
    total = count = 0.0
    for batch in batches:
        [one] = passes_of(training.model, batch)
        with torch.no_grad():
            term = training.model.objectives["hidden"](training.model.encode(one.view), one.view)[
                "hidden"
            ]
        total += term.loss.item()
        count += (one.view.labels >= 0).sum().item()
    assert whole["hidden_loss"] == pytest.approx(total / count)


def test_a_share_of_the_training_is_no_share_of_the_evaluation(
    ready: Callable[..., Training],
) -> None:
    shares = {"hidden": {"share": 0.25}, "ahead": {"share": 0.75}}
    mixed = ready("mixed", objectives=["hidden", "ahead"], objective=shares)
    alone = ready("alone", objectives=["hidden", "ahead"])
    losses = [
        mean_losses(training.model.eval(), held_out_batches(training), training.numerics)
        for training in (mixed, alone)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("rate", "final_rate"), [(0.5, 0.2), (0.2, 0.5)])
def test_held_out_masks_are_those_of_the_end_of_the_schedule_from_the_start(
    ready: Callable[..., Training], rate: float, final_rate: float
) -> None:
    scheduled = ready(masking={"name": "toy", "rate": rate, "final_rate": final_rate})
    constant = ready("constant", masking={"name": "toy", "rate": final_rate})
    labels = [
        torch.cat([batch.masked.labels for batch in held_out_batches(training)])
        for training in (scheduled, constant, scheduled)
    ]
    assert torch.equal(labels[0], labels[1])
    assert torch.equal(labels[0], labels[2])


def test_own_examples_are_those_that_the_arm_learns_from(ready: Callable[..., Training]) -> None:
    pairs = ready(objectives=["hidden", "pair"])
    assert all(batch.pair_label is not None for batch in held_out_batches(pairs, own=True))
    assert all(batch.pair_label is None for batch in held_out_batches(pairs))
    single = ready("single")
    for one, other in zip(
        held_out_batches(single, own=True), held_out_batches(single), strict=True
    ):
        assert torch.equal(one.masked.input_ids, other.masked.input_ids)


def test_of_an_objective_of_two_terms_a_view_judges_the_one_it_is_named_after(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = ready()
    objective = training.model.eval().each_objective()[0]
    [batch] = list(training.held_out.batches(6))
    alone = view_losses(training.model, objective, [batch.masked], training.numerics)
    plain = objective.forward

    def two_terms(hidden: Any, view: Any) -> Any:
        [term] = plain(hidden, view).values()
        return {"hidden": term, "by_the_way": replace(term, loss=term.loss * 3)}

    monkeypatch.setattr(objective, "forward", two_terms)
    assert view_losses(training.model, objective, [batch.masked], training.numerics) == alone


def test_an_evaluation_repeats_itself_and_leaves_the_model_in_training(
    ready: Callable[..., Training],
) -> None:
    training = ready(encoder={"name": "toy", "dropout": 0.5})
    tasks = [task.build() for task in training.arm.evaluations]
    before = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    assert evaluate(training, tasks) == evaluate(training, tasks)
    assert training.model.training
    assert all(torch.equal(p, before[name]) for name, p in training.model.named_parameters())


@pytest.mark.parametrize("objective", ["hidden", "ahead", "behind"])
def test_every_way_of_reading_fills_in_the_same_blanks(
    ready: Callable[..., Training], objective: str
) -> None:
    training = ready(objectives=["hidden", "ahead", "behind"])
    [batch] = list(training.held_out.batches(6))
    chosen = ~batch.special_tokens_mask & (batch.uniform("test") < 0.3)
    speaker = training.model.objectives[objective]
    view = speaker.cloze(batch, chosen)
    assert view is not None
    truth = batch.input_ids[chosen]
    assert sorted(view.labels[view.labels >= 0].tolist()) == sorted(truth.tolist())
    losses = view_losses(training.model, speaker, [view], training.numerics)
    assert 0 < losses[f"{objective}_loss"] < 10


@pytest.mark.parametrize("objective", ["ahead", "behind"])
def test_a_one_sided_reader_never_sees_the_blank_it_fills_in(
    ready: Callable[..., Training], objective: str
) -> None:
    training = ready(objectives=["hidden", "ahead", "behind"])
    training.model.eval()
    [batch] = list(training.held_out.batches(4))
    place = 4
    chosen = torch.zeros_like(batch.special_tokens_mask)
    chosen[:, place] = True
    speaker = training.model.objectives[objective]
    view = speaker.cloze(batch, chosen)
    reads_at = place - 1 if objective == "ahead" else place + 1
    unseen = range(place, 20) if objective == "ahead" else range(place + 1)
    hidden = training.model.encode(view)[:, reads_at]
    for column in unseen:
        other = view.input_ids.clone()
        other[:, column] = (other[:, column] + 1) % 30
        moved = training.model.encode(replace(view, input_ids=other))[:, reads_at]
        assert torch.allclose(hidden, moved, atol=1e-6), column


def test_fill_gives_probabilities_for_each_blank(ready: Callable[..., Training]) -> None:
    training = ready()
    training.model.eval()
    blanks = fill(
        training.model, training.store, "ash [MASK] cob [MASK]", training.numerics.device, top=3
    )
    assert [len(blank) for blank in blanks] == [3, 3]
    for blank in blanks:
        probabilities = [guess.probability for guess in blank]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) <= 1.0001


def test_a_text_without_a_blank_is_refused(ready: Callable[..., Training]) -> None:
    training = ready()
    with pytest.raises(UserError, match="no \\[MASK\\]"):
        fill(training.model, training.store, "ash bay", training.numerics.device)
