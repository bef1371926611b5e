"""Replaced token detection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.plugins.hand_made import SHAPE, VOCABULARY, batch_of, context

from clozebox.pretraining import IGNORE_INDEX
from clozebox.pretraining.generator import narrowed, sample
from clozebox.training.console import Console
from clozebox.training.setup import set_up
from clozebox_rtd import ReplacedTokenConfig

ROW = list(range(10, 30))
HIDDEN = [[1, 4, 5, 9], [2, 6]]


def objective(**settings: Any) -> Any:
    torch.manual_seed(0)
    made = ReplacedTokenConfig(**settings).build(context())
    made.name = "rtd"
    return made


def certain(rtd: Any, token: int) -> None:
    """Make the generator write ``token`` everywhere."""
    with torch.no_grad():
        rtd.generator.head.bias[token] = 1000.0


def test_only_hidden_positions_are_replaced_and_labelled_so() -> None:
    rtd, batch = objective(), batch_of([ROW, ROW[:7]], HIDDEN)
    certain(rtd, 14)  # which is what stands in column 5 of the first sequence, and of the second
    view = rtd.view(batch)
    expected = batch.input_ids.clone()
    for row, columns in enumerate(HIDDEN):
        expected[row, columns] = 14
    assert view.input_ids.equal(expected)
    replaced = [[1, 4, 9], [2, 6]]  # a sample that is the original counts as original
    for row, columns in enumerate(replaced):
        assert (view.labels[row] == 1).nonzero().flatten().tolist() == columns
    assert (view.labels == IGNORE_INDEX).equal(~batch.attention_mask), "[CLS] and [SEP] count"


def test_a_special_token_is_never_sampled() -> None:
    rtd, batch = objective(), batch_of([ROW, ROW[:7]], HIDDEN)
    with torch.no_grad():
        rtd.generator.head.bias[list(VOCABULARY.special_ids)] = 1000.0
    view = rtd.view(batch)
    changed = view.input_ids[view.input_ids != batch.input_ids]
    assert len(changed) > 3
    assert not np.isin(changed.numpy(), VOCABULARY.special_ids).any()
    assert view.generator.loss > 1000, "its own loss knows the special tokens"


def test_the_generator_reads_what_masking_made_and_learns_to_restore_it() -> None:
    rtd, batch = objective(), batch_of([ROW, ROW[:7]], HIDDEN)
    masked, generator = batch.masked, rtd.generator
    assert (masked.input_ids[0, [1, 4, 5, 9]] == VOCABULARY.mask_id).all()
    hidden = generator.encode(masked, torch.arange(2 * 22)).view(2, 22, 6)
    log_p = generator.head(hidden).log_softmax(-1)
    by_hand = -sum(log_p[r, c, batch.input_ids[r, c]] for r, cs in enumerate(HIDDEN) for c in cs)
    torch.testing.assert_close(rtd.view(batch).generator.loss, by_hand)


def test_the_discriminator_tells_each_real_token_with_one_logit() -> None:
    rtd, batch, hidden = objective(), batch_of([ROW, ROW[:7]], HIDDEN), torch.randn(2, 22, 24)
    view = rtd.view(batch)
    terms = rtd(hidden, view)
    logits, real = rtd.discriminator(hidden).squeeze(-1), batch.attention_mask
    labels = (view.input_ids != batch.input_ids)[real]
    expected = F.binary_cross_entropy_with_logits(logits[real], labels.float(), reduction="sum")
    torch.testing.assert_close(terms["rtd"].loss, expected)
    assert terms["rtd"].metrics["accuracy"] == ((logits[real] > 0) == labels).sum()
    assert terms["rtd"].metrics["replaced"] == labels.sum()
    assert (terms["rtd"].weight, terms["rtd_generator"].weight) == (50, 1)
    counts = {name: one.count.item() for name, one in rtd.targets(batch).items()}
    assert counts == {"rtd": 31, "rtd_generator": 6}
    assert [one.classes for one in rtd.targets(batch).values()] == [2, 40]


def test_what_is_corrupted_but_not_predicted_stands_as_it_was(
    make_run: Callable[..., Any], registry: Any
) -> None:
    masking = {"name": "toy", "rate": 0.1, "corruption_rate": 0.4, "mask_share": 1.0}
    masking["random_share"] = 0.0
    training = set_up(make_run(objectives=["rtd"], masking=masking), registry, Console().say)
    [batch] = training.batches(0)
    assert (batch.masked.input_ids != batch.input_ids).sum() > 2 * predicted_in(batch).sum()
    view = training.model.objectives["rtd"].view(batch)
    assert (view.input_ids != batch.input_ids)[predicted_in(batch)].any()
    assert not (view.input_ids != batch.input_ids)[~predicted_in(batch)].any()


def predicted_in(batch: Any) -> torch.Tensor:
    return batch.masked.labels != IGNORE_INDEX


def test_no_gradient_reaches_the_generator_from_the_detection(
    make_run: Callable[..., Any], registry: Any
) -> None:
    training = set_up(make_run(objectives=["rtd"]), registry, Console().say)
    model, rtd = training.model, training.model.objectives["rtd"]
    terms = rtd(model.encode(view := rtd.view(training.batches(0)[0])), view)
    own = [p for name, p in rtd.generator.named_parameters() if not name.startswith("embedding")]
    own = [p for p in own if p is not model.embedding.token_table]
    assert own
    detection = torch.autograd.grad(
        terms["rtd"].loss, [*own, *model.parameters()], retain_graph=True, allow_unused=True
    )
    assert all(gradient is None for gradient in detection[: len(own)])
    restoring = torch.autograd.grad(
        terms["rtd_generator"].loss, [*own, *model.encoder.parameters()], allow_unused=True
    )
    assert all(gradient is not None and gradient.any() for gradient in restoring[: len(own)])
    assert all(gradient is None for gradient in restoring[len(own) :])


def test_both_learn_through_one_embedding(make_run: Callable[..., Any], registry: Any) -> None:
    training = set_up(make_run(objectives=["rtd"]), registry, Console().say)
    model = training.model
    names = [name for name, _ in model.named_parameters()]
    assert not any("embedding" in name and name.startswith("objectives") for name in names)
    view = model.objectives["rtd"].view(training.batches(0)[0])
    table = model.embedding.token_table
    for term in model.objectives["rtd"](model.encode(view), view).values():
        [gradient] = torch.autograd.grad(term.loss, [table], retain_graph=True)
        assert gradient.any()


@pytest.mark.parametrize(
    ("width", "heads", "size", "expected"),
    [
        (256, 4, 0.25, (64, 1)),  # ELECTRA-small
        (768, 12, 0.3333, (256, 4)),  # base
        (1024, 16, 0.25, (256, 4)),  # large
        (128, 2, 0.25, (32, 1)),
        (24, 3, 1.0, (24, 3)),
        (768, 12, 0.3, (232, 4)),
    ],
)
def test_a_generator_is_narrower_and_as_deep(
    width: int, heads: int, size: float, expected: tuple[int, int]
) -> None:
    shape = SHAPE.model_copy(
        update={"hidden_size": width, "num_attention_heads": heads, "intermediate_size": 4 * width}
    )
    small = narrowed(shape, size)
    assert (small.hidden_size, small.num_attention_heads) == expected
    assert small.intermediate_size == 4 * small.hidden_size
    assert small.num_hidden_layers == shape.num_hidden_layers
    assert small.vocab_size == shape.vocab_size


def test_a_generator_of_full_width_needs_no_projection() -> None:
    generator = objective(generator_size=1.0).generator
    assert isinstance(generator.project, torch.nn.Identity)
    assert generator.head.dense.weight.shape == (24, 24)


def test_samples_come_as_often_as_their_probabilities() -> None:
    logits = torch.tensor([0.5, 0.0, 0.3, 0.0, 0.15, 0.05]).log()
    numbers = (torch.arange(10_000) / 10_000).flip(0)
    tokens = sample(logits.expand(10_000, -1), numbers)
    assert tokens.bincount(minlength=6).tolist() == pytest.approx(
        [5000, 0, 3000, 0, 1500, 500], abs=1
    )
    assert tokens[numbers < 0.49].unique().tolist() == [0]
    assert tokens[numbers > 0.96].unique().tolist() == [5]


def test_the_ends_of_the_range_draw_possible_tokens() -> None:
    logits = torch.tensor([[0.0, 0.4, 0.6, 0.0]]).log()
    ends = torch.tensor([0.0, 1 - 2**-24])
    assert sample(logits.expand(2, -1), ends).tolist() == [1, 2]


def test_a_generator_that_has_diverged_draws_tokens_all_the_same() -> None:
    tokens = sample(torch.full((3, 7), torch.nan), torch.tensor([0.0, 0.5, 0.9]))
    assert ((tokens >= 0) & (tokens < 7)).all()
