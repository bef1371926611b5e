"""What every bundled objective promises, asked of each."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from clozebox.model import BertEncoder
from clozebox.pretraining import IGNORE_INDEX, Batch, Terms, View, labelled_rows, passes_of
from clozebox.pretraining.passes import encoder_flops, everyone, targets_of
from clozebox.registry import load_registry
from clozebox.training.batches import Batches
from clozebox.training.console import Console
from clozebox.training.setup import Training, set_up
from clozebox.training.step import train_step

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
REGISTRY = load_registry()
BUNDLED = {
    name: found
    for name in REGISTRY.names("objective")
    if PLUGINS in Path(inspect.getfile(found := REGISTRY.get("objective", name))).parents
}
each_objective = pytest.mark.parametrize("name", BUNDLED)
each_that_fills_in = pytest.mark.parametrize(
    "name", [name for name in BUNDLED if name not in ("nsp", "sop", "rtd", "electric")]
)


@pytest.fixture
def ready(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    """An arm of one objective, with masking only where it reads it, and without dropout."""

    def make(name: str, **changes: Any) -> Training:
        masking = "toy" if BUNDLED[name].needs_masking else "none"
        given = {"masking": {"name": masking}, "objectives": [name], **changes}
        return set_up(make_run(**given), registry, Console().say)

    return make


def losses(training: Training, batch: Batch) -> Terms:
    [one] = passes_of(training.model, batch)
    return one.objectives[0](training.model.encode(one.view), one.view)


def summed(terms: Terms) -> Tensor:
    return torch.stack([term.weight * term.loss for term in terms.values()]).sum()


@each_objective
def test_it_costs_what_torch_counts(ready: Callable[..., Training], name: str) -> None:
    training = ready(name)
    [batch] = training.batches(0)
    for encoder in training.model.modules():
        if isinstance(encoder, BertEncoder):  # RTD's generator has one of its own
            encoder.leaves_out_unread = False  # what is stated counts padding
    with FlopCounterMode(display=False) as counter:
        losses(training, batch)
    targets = targets_of(everyone(training.model, batch)).values()
    heads = sum(one.count.item() * one.flops_each + one.flops_besides for one in targets)
    stated = encoder_flops(training.model, passes_of(training.model, batch)) + heads
    assert stated == counter.get_total_flops()


@each_objective
def test_asking_for_targets_runs_no_model(ready: Callable[..., Training], name: str) -> None:
    training = ready(name)
    with FlopCounterMode(display=False) as counter:
        targets_of(everyone(training.model, training.batches(0)[0]))
    assert counter.get_total_flops() == 0


@each_objective
def test_a_batch_cut_in_parts_sums_to_the_whole(ready: Callable[..., Training], name: str) -> None:
    training = ready(name)
    [whole] = training.batches(0)
    parts = [whole.take(torch.arange(*ends).numpy()) for ends in ((0, 1), (1, 4), (4, 6))]
    found, pieces = losses(training, whole), [losses(training, part) for part in parts]
    counts = targets_of(everyone(training.model, whole))
    assert found.keys() == counts.keys()
    for term, all_at_once in found.items():
        loss = sum(piece[term].loss for piece in pieces)
        torch.testing.assert_close(all_at_once.loss, loss)
        for metric, value in all_at_once.metrics.items():
            assert value == sum(piece[term].metrics[metric] for piece in pieces)
        each = [targets_of(everyone(training.model, part))[term] for part in parts]
        assert counts[term].count == sum(one.count for one in each)
        assert counts[term].flops_besides == sum(one.flops_besides for one in each)
        assert 0 < counts[term].count <= whole.input_ids.numel()
    parameters = list(training.model.parameters())
    at_once = torch.autograd.grad(summed(found), parameters)
    in_parts = torch.autograd.grad(sum(map(summed, pieces)), parameters)
    torch.testing.assert_close(at_once, in_parts, atol=2e-5, rtol=1e-4)


@each_objective
def test_every_parameter_gets_a_gradient(ready: Callable[..., Training], name: str) -> None:
    training = ready(name)
    summed(losses(training, training.batches(0)[0])).backward()
    untouched = [
        name
        for name, parameter in training.model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert untouched == []


@each_objective
def test_what_is_shown_depends_on_the_seed_and_the_sequence_alone(
    ready: Callable[..., Training], name: str
) -> None:
    training = ready(name)
    [batch] = training.batches(0)
    whole, again = (training.model.objectives[name].view(copy(batch)) for _ in range(2))
    rows = torch.tensor([1, 2, 5])
    some = training.model.objectives[name].view(batch.take(rows.numpy()))
    for field in ("input_ids", "token_type_ids", "labels"):
        assert getattr(whole, field).equal(getattr(again, field))
        assert getattr(whole, field)[rows].equal(getattr(some, field))
    length = batch.input_ids.shape[1]
    assert pattern(whole, 6, length)[rows].equal(pattern(some, 3, length))


def pattern(view: View, rows: int, length: int) -> Tensor:
    return view.attention.pattern(rows, length)


@each_objective
def test_it_looks_at_and_predicts_no_padding(ready: Callable[..., Training], name: str) -> None:
    training = ready(name)
    [batch] = training.batches(0)
    assert not batch.attention_mask.all()
    view = training.model.objectives[name].view(batch)
    assert (view.labels[~batch.attention_mask] == IGNORE_INDEX).all()
    noise = torch.where(batch.attention_mask, view.input_ids, 9)
    before = losses_of(training, name, view)
    assert torch.allclose(before, losses_of(training, name, replace(view, input_ids=noise)))


def losses_of(training: Training, name: str, view: View) -> Tensor:
    return summed(training.model.objectives[name](training.model.encode(view), view))


@each_objective
def test_nothing_waits_for_the_device(ready: Callable[..., Training], name: str) -> None:
    """A tensor without data has nothing to wait for: whoever asks what is in it fails."""
    training = ready(name)
    model = training.model.to("meta")
    [batch] = training.batches(0)
    there = torch.device("meta")
    stream = Batches(
        training.stream.examples, training.store.vocabulary, training.masking, 0, there
    )
    [meta] = replace(training, stream=stream).batches(0)
    objective = model.objectives[name]
    view = objective.view(meta)
    assert view.input_ids.shape == view.labels.shape == batch.input_ids.shape
    terms = objective(model.encode(view), view)
    assert all(term.loss.shape == () for term in terms.values())
    targets = objective.targets(meta)
    assert targets.keys() == terms.keys()
    assert all(one.count.shape == () for one in targets.values())


@each_objective
def test_the_static_shapes_of_a_gpu_change_no_sum(
    ready: Callable[..., Training], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a fixed number of rows is gathered, and those that are not labelled must not count."""
    training = ready(name)
    [batch] = training.batches(0)
    exact = losses(training, copy(batch))

    def static(view: View) -> Tensor:
        wanted = view.labels.flatten() != IGNORE_INDEX
        most = batch.input_ids.shape[1] if view.max_targets is None else view.max_targets
        return wanted.byte().argsort(descending=True, stable=True)[: most * len(view.labels)]

    exactly = labelled_rows
    for module in list(sys.modules.values()):
        if vars(module).get("labelled_rows") is exactly:
            monkeypatch.setattr(module, "labelled_rows", static)
    padded = losses(training, copy(batch))
    for term, one in exact.items():
        torch.testing.assert_close(padded[term].loss, one.loss)
        assert padded[term].metrics == one.metrics


@each_objective
def test_products_may_be_taken_in_bf16(ready: Callable[..., Training], name: str) -> None:
    training = ready(name)
    [batch] = training.batches(0)
    exact = losses(training, copy(batch))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = losses(training, copy(batch))
    assert {term.loss.dtype for term in rough.values()} == {torch.float32}
    for term, one in exact.items():
        torch.testing.assert_close(rough[term].loss, one.loss, rtol=0.05, atol=0)
    summed(rough).backward()
    gradients = [p.grad for p in training.model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


@each_objective
def test_no_sequence_has_more_targets_than_its_view_allows(
    ready: Callable[..., Training], name: str
) -> None:
    training = ready(name)
    for step in range(5):
        view = training.model.objectives[name].view(training.batches(step)[0])
        if view.max_targets is not None:
            assert (view.labels != IGNORE_INDEX).sum(1).max() <= view.max_targets


@each_objective
def test_it_learns_a_batch_by_heart(ready: Callable[..., Training], name: str) -> None:
    training = ready(name)
    training.optimizer.set_lr(0.01)
    batches, objectives = training.batches(0), training.model.each_objective()
    steps = [train_step(training, objectives, batches) for _ in range(60)]
    for term, count in steps[0].counts.items():
        first, last = (steps[at].sums[f"{term}_loss"] / count for at in (0, -1))
        assert last < 0.4 * first, f"{term} went from {first:.3f} to {last:.3f}"


@each_that_fills_in
def test_a_blank_is_filled_in_without_seeing_it(ready: Callable[..., Training], name: str) -> None:
    training = ready(name)
    objective = training.model.objectives[name]
    [batch] = training.batches(0)
    for column in (1, 2, 5):
        blank = torch.zeros_like(batch.attention_mask)
        blank[:, column] = ~batch.special_tokens_mask[:, column]
        view = objective.cloze(batch, blank)
        asked = view.labels[view.labels != IGNORE_INDEX]
        assert asked.tolist() == batch.input_ids[blank].tolist()
        other = replace(batch, input_ids=torch.where(blank, 7, batch.input_ids))
        unknowing = replace(objective.cloze(other, blank), labels=view.labels)
        expected = losses_of(training, name, view)
        torch.testing.assert_close(losses_of(training, name, unknowing), expected)


@each_that_fills_in
def test_a_cloze_asks_for_the_chosen_tokens_and_no_others(
    ready: Callable[..., Training], name: str
) -> None:
    training = ready(name)
    [batch] = training.batches(0)
    chosen = ~batch.special_tokens_mask & (batch.uniform("test") < 0.3)
    view = training.model.objectives[name].cloze(batch, chosen)
    asked = [row[row != IGNORE_INDEX].tolist() for row in view.labels]
    assert asked == [ids[here].tolist() for ids, here in zip(batch.input_ids, chosen, strict=True)]


@each_objective
def test_it_reads_like_a_page(name: str) -> None:
    settings = Path(inspect.getfile(BUNDLED[name]))
    text = settings.read_text() + (settings.parent / "objective.py").read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()) < 80
