"""The bundled masking strategies: what holds of each, and what is the token strategy's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tests.plugins.masking_rows import batch_of, single_words

from clozebox.pretraining import IGNORE_INDEX, number_to_choose
from clozebox.registry import load_registry
from clozebox.testing import assert_passes
from clozebox.training.console import Console
from clozebox.training.setup import set_up
from clozebox_masking import TokenMaskingConfig

REGISTRY = load_registry()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("token", {}),
        ("token", {"count": "bernoulli"}),
        ("whole_word", {}),
        ("span", {}),
        ("span", {"split": "token"}),
        ("ngram", {}),
        ("pmi", {"min_count": 3}),  # the text of the check is short
        ("entropy", {}),
    ],
    ids=str,
)
def test_it_keeps_what_every_masking_strategy_promises(name: str, settings: dict[str, Any]) -> None:
    assert_passes(name, settings, registry=REGISTRY)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("token", {"count": "poisson"}),
        ("span", {"p": 0.0}),
        ("span", {"max_length": 0}),
        ("ngram", {"max_n": 0}),
        ("pmi", {"max_length": 1}),
        ("pmi", {"collocations": 0}),
        ("entropy", {"sharpness": -1.0}),
    ],
    ids=str,
)
def test_a_setting_out_of_its_range_is_refused(name: str, settings: dict[str, Any]) -> None:
    config: Any = REGISTRY.get("masking strategy", name)
    with pytest.raises(ValidationError, match=next(iter(settings))):
        config(**settings)


def test_token_masking_hides_berts_number_of_ordinary_tokens(
    make_run: Callable[..., Any], registry: Any
) -> None:
    run = make_run(masking={"name": "token", "rate": 0.25}, train={"batch_size": 50})
    training = set_up(run, registry, Console().say)
    [batch] = training.batches(0)
    hidden = batch.masked.labels != IGNORE_INDEX
    assert not (hidden & batch.special_tokens_mask).any()
    for sequence, length in enumerate(batch.attention_mask.sum(1).tolist()):
        assert hidden[sequence].sum() == number_to_choose(length, 0.25)


def test_the_next_pass_over_the_corpus_hides_other_tokens(
    make_run: Callable[..., Any], registry: Any
) -> None:
    training = set_up(make_run(masking={"name": "token"}), registry, Console().say)
    epoch = len(training.stream.examples)
    seen: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for step in range(3 * epoch // training.arm.train.batch_size):
        [batch] = training.batches(step)
        for ids, labels in zip(batch.input_ids, batch.masked.labels, strict=True):
            places = tuple((labels != IGNORE_INDEX).nonzero().flatten().tolist())
            seen.setdefault(tuple(ids.tolist()), set()).add(places)
    assert max(len(places) for places in seen.values()) > 1


def binomial_tail(coins: int, chance: float, beyond: int) -> float:
    """The chance of more heads than ``beyond``."""
    return sum(
        math.comb(coins, heads) * chance**heads * (1 - chance) ** (coins - heads)
        for heads in range(beyond + 1, coins + 1)
    )


def test_coins_fall_as_coins_do() -> None:
    batch = batch_of(single_words(20_000, 30), TokenMaskingConfig(rate=0.25, count="bernoulli"))
    count = (batch.masked.labels != IGNORE_INDEX).sum(1)
    chance = number_to_choose(32, 0.25) / 30
    for heads in range(3, 14):
        due = binomial_tail(30, chance, heads - 1) - binomial_tail(30, chance, heads)
        spread = math.sqrt(due * (1 - due) / 20_000)
        assert abs((count == heads).double().mean().item() - due) < 4.5 * spread


@pytest.mark.parametrize(("length", "rate"), [(24, 0.15), (128, 0.15), (128, 0.4), (512, 0.15)])
def test_the_bound_of_coins_is_reached_less_than_once_in_a_billion(
    length: int, rate: float
) -> None:
    batch = batch_of([[10]], TokenMaskingConfig(rate=rate, count="bernoulli"))
    assert batch.masking is not None
    bound, coins = batch.masking.max_targets(length), length - 2
    chance = number_to_choose(length, rate) / coins
    assert binomial_tail(coins, chance, bound) < 1e-9
    assert binomial_tail(coins, chance, bound - max(4, length // 30)) > 1e-9  # and not far above


def test_beyond_the_bound_coins_are_cut_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(single_words(20_000, 30), TokenMaskingConfig(rate=0.5, count="bernoulli"))
    strategy: Any = batch.masking
    free = strategy.choose(batch, 0.5)
    monkeypatch.setattr(strategy, "bound", lambda length, rate: 12)
    cut = strategy.choose(batch, 0.5)
    assert not (cut & ~free).any()
    assert torch.equal(cut.sum(1), free.sum(1).clamp(max=12))
    lost = (free & ~cut)[:, 1:-1].double().mean(0)
    spread = math.sqrt(lost.mean().item() / 20_000)
    assert (lost - lost.mean()).abs().max() < 4.5 * spread


def test_a_row_without_ordinary_tokens_has_none_chosen() -> None:
    for count in ("exact", "bernoulli"):
        batch = batch_of([[], [10, 11]], TokenMaskingConfig(rate=0.9, count=count))
        assert (replace(batch).masked.labels != IGNORE_INDEX).sum(1).tolist()[0] == 0
