"""One encoder pass a view, whatever the number of objectives that read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from clozebox.pretraining import Batch
from clozebox.pretraining.passes import (
    count_targets,
    everyone,
    forward,
    means,
    passes_of,
    targets_of,
)
from clozebox.training.console import Console
from clozebox.training.setup import Training, set_up


@pytest.fixture
def ready(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    def make(**changes: Any) -> Training:
        return set_up(make_run(**changes), registry, Console().say)

    return make


def test_objectives_that_ask_for_the_same_view_share_one_encoder_pass(
    ready: Callable[..., Training],
) -> None:
    training = ready(objectives=["hidden", "pair"])
    made = passes_of(training.model, training.batches(0)[0])
    assert [[o.name for o in one.objectives] for one in made] == [["hidden", "pair"]]


def test_objectives_with_different_views_have_a_pass_each(ready: Callable[..., Training]) -> None:
    training = ready(objectives=["hidden", "ahead", "behind"])
    made = passes_of(training.model, training.batches(0)[0])
    assert [[o.name for o in one.objectives] for one in made] == [
        ["hidden"],
        ["ahead"],
        ["behind"],
    ]


def test_targets_are_counted_before_any_forward_pass(ready: Callable[..., Training]) -> None:
    training = ready(objectives=["hidden", "pair"])
    [batch] = training.batches(0)
    counts = count_targets(everyone(training.model, batch))
    assert counts["hidden"] == (batch.masked.labels >= 0).sum()
    assert counts["pair"] == batch.input_ids.shape[0]


def test_a_target_knows_its_classes_and_what_it_costs(ready: Callable[..., Training]) -> None:
    training = ready(objectives=["hidden", "pair"])
    targets = targets_of(everyone(training.model, training.batches(0)[0]))
    vocabulary, width = training.model.embedding.token_table.shape
    assert (targets["hidden"].classes, targets["pair"].classes) == (vocabulary, 2)
    assert targets["hidden"].flops_each == 2 * (width * width + vocabulary * width)
    assert targets["pair"].flops_each == 2 * 2 * width


def test_a_mean_is_taken_over_the_targets_of_its_own_term() -> None:
    found = means({"a_loss": 6.0, "a_b_loss": 8.0, "a_b_accuracy": 2.0}, {"a": 3.0, "a_b": 4.0})
    assert found == {"a_loss": 2.0, "a_b_loss": 2.0, "a_b_accuracy": 0.5}


def test_arms_that_share_parameters_start_from_the_same_weights(
    ready: Callable[..., Training],
) -> None:
    one = dict(ready(name="one", objectives=["hidden"]).model.named_parameters())
    other = ready(name="other", objectives=["pair", "ahead"], masking="none").model
    shared = [
        (name, p) for name, p in other.named_parameters() if not name.startswith("objectives")
    ]
    assert len(shared) > 10
    assert all(torch.equal(p, one[name]) for name, p in shared)


def test_the_token_table_is_the_decoder_and_counts_once(ready: Callable[..., Training]) -> None:
    model = ready(objectives=["hidden", "ahead"], masking={"name": "toy"}).model
    table = model.embedding.token_table
    assert all(objective.head.token_table is table for objective in model.each_objective())
    names = [name for name, p in model.named_parameters() if p is table]
    assert len(names) == 1


def test_a_term_carries_its_own_weight_times_its_objectives(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = ready(objective={"hidden": {"weight": 3.0}})
    [one] = passes_of(training.model, training.batches(0)[0])
    [objective] = one.objectives
    plain = objective.forward

    def two_terms(hidden: Any, view: Any) -> Any:
        [term] = plain(hidden, view).values()
        return {"hidden": term, "hidden_more": replace(term, weight=50.0)}

    monkeypatch.setattr(objective, "forward", two_terms)
    weights = {name: term.weight for name, term in forward(training.model, one).items()}
    assert weights == {"hidden": 3.0, "hidden_more": 150.0}


@pytest.mark.parametrize("share", [None, 0.25])
def test_a_share_of_the_sequences_weighs_as_much_of_the_loss(
    ready: Callable[..., Training], share: float | None
) -> None:
    settings = {"weight": 3.0} if share is None else {"weight": 3.0, "share": share}
    training = ready(objectives=["hidden", "ahead"], objective={"hidden": settings})
    one, _ = passes_of(training.model, training.batches(0)[0])
    [term] = forward(training.model, one).values()
    assert term.weight == 3.0 * (share or 1.0)


def test_an_objective_predicts_through_the_head_it_names(ready: Callable[..., Training]) -> None:
    model = ready(objectives=["hidden", "ahead"], objective={"ahead": {"head": "hidden"}}).model
    hidden, ahead = model.each_objective()
    assert ahead.head is hidden.head
    names = [name for name, _ in model.named_parameters() if ".head." in name]
    assert all(name.startswith("objectives.hidden.") for name in names), "each counts once"
    own = ready(name="own", objectives=["hidden", "ahead"]).model
    assert own.num_parameters() > model.num_parameters()


def test_two_objectives_with_a_term_of_one_name_are_refused(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = ready(objectives=["hidden", "pair"])
    readers = everyone(training.model, training.batches(0)[0])
    hidden, pair = (reader.objective for reader in readers)
    monkeypatch.setattr(pair, "targets", hidden.targets)
    with pytest.raises(ValueError, match="term named 'hidden'"):
        count_targets(readers)


VIEWS: dict[str, Callable[[Batch], Any]] = {
    "plain": lambda batch: batch.plain,
    "masked": lambda batch: batch.masked,
    "causal": lambda batch: batch.causal,
    "anticausal": lambda batch: batch.anticausal,
    "prefix": lambda batch: batch.prefix(batch.attention_mask.sum(1) // 2),
}


@pytest.mark.parametrize("name", VIEWS)
def test_in_a_packed_row_no_document_feels_another(
    ready: Callable[..., Training], name: str
) -> None:
    training = ready(train={"batch_size": 4})
    training.model.eval()
    [batch] = training.batches(0)
    width = batch.input_ids.shape[1]
    document_ids = (torch.arange(width) >= 6).long() + (torch.arange(width) >= 11).long()
    packed = replace(batch, document_ids=document_ids.expand(4, width))
    at = document_ids == 1  # the tokens between two other documents
    other = torch.where(at, (packed.input_ids + 7) % 60, packed.input_ids)
    view = VIEWS[name](packed)
    changed = replace(view, input_ids=torch.where(at, other, view.input_ids))
    before, after = training.model.encode(view), training.model.encode(changed)
    moved = (before - after).abs().amax(-1) > 1e-6  # (B, T)
    assert not moved[:, ~at].any()
    assert moved[at & batch.attention_mask].all()
