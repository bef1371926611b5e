"""How many tokens are predicted and how many corrupted, and how that moves over the budget."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.core.pretraining.masked_rows import (
    ALL_MASK,
    TEXT,
    VOCABULARY,
    Settings,
    a_batch,
    predicted_and_corrupted,
)

from clozebox.pretraining import IGNORE_INDEX, number_to_choose, numbers_to_choose

rates = st.floats(0.01, 0.99)
schedules = st.sampled_from(["linear", "cosine", None])


@given(rates, rates, schedules, st.floats(0, 1), st.floats(0, 1))
def test_the_rate_moves_from_first_to_last_and_never_beyond(
    rate: float, final_rate: float, schedule: Any, one: float, other: float
) -> None:
    strategy = Settings(rate=rate, final_rate=final_rate, schedule=schedule).build(TEXT)
    assert strategy.rate_at(0.0) == rate
    assert strategy.rate_at(1.0) == final_rate
    assert strategy.rate_at(0.5) == pytest.approx((rate + final_rate) / 2)
    earlier, later = sorted((one, other))
    rising = strategy.rate_at(later) - strategy.rate_at(earlier)
    assert rising * (final_rate - rate) >= -1e-12
    assert min(rate, final_rate) <= strategy.rate_at(one) <= max(rate, final_rate)


def test_a_quarter_of_the_way_a_cosine_has_gone_less_far_than_a_line() -> None:
    line = Settings(rate=0.2, final_rate=0.6).build(TEXT)
    cosine = Settings(rate=0.2, final_rate=0.6, schedule="cosine").build(TEXT)
    assert line.rate_at(0.25) == pytest.approx(0.3)
    assert cosine.rate_at(0.25) == pytest.approx(0.2 + 0.4 * (1 - math.sqrt(0.5)) / 2)


@given(rates, rates, schedules, st.floats(0, 1))
def test_the_count_follows_the_schedule_within_the_bound(
    rate: float, final_rate: float, schedule: Any, progress: float
) -> None:
    batch = a_batch(
        sequences=9, rate=rate, final_rate=final_rate, schedule=schedule, progress=progress
    )
    assert batch.masking is not None
    count = (batch.masked.labels != IGNORE_INDEX).sum(1)
    ordinary = (~batch.special_tokens_mask).sum(1)
    due = numbers_to_choose(batch, batch.masking.rate_at(progress))[:, 0]
    assert torch.equal(count, due.minimum(ordinary))
    assert count.max() <= batch.masking.max_targets(batch.input_ids.shape[1])


@pytest.mark.parametrize("wrong", [{"schedule": "linear"}, {"corruption_rate": 0.0}, {"rate": 1.0}])
def test_settings_that_lead_nowhere_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)


@given(rates, rates, st.integers(0, 10**6))
def test_predicted_and_corrupted_counts_are_exact_and_the_smaller_lies_in_the_larger(
    rate: float, corruption_rate: float, first: int
) -> None:
    batch = a_batch(
        sequences=9, first=first, rate=rate, corruption_rate=corruption_rate, **ALL_MASK
    )
    predicted, corrupted = predicted_and_corrupted(batch)
    ordinary = (~batch.special_tokens_mask).sum(1)
    for found, share in ((predicted, rate), (corrupted, corruption_rate)):
        assert torch.equal(found.sum(1), numbers_to_choose(batch, share)[:, 0].minimum(ordinary))
    smaller, larger = (predicted, corrupted) if rate < corruption_rate else (corrupted, predicted)
    assert not (smaller & ~larger).any()
    assert predicted.sum(1).max() <= batch.masked.max_targets


@pytest.mark.parametrize(("rate", "corruption_rate"), [(0.2, 0.5), (0.5, 0.2)])
def test_the_smaller_part_is_any_part_of_the_larger(rate: float, corruption_rate: float) -> None:
    batch = a_batch(sequences=6000, rate=rate, corruption_rate=corruption_rate, **ALL_MASK)
    long = batch.attention_mask.sum(1) == 29
    for found, share in zip(predicted_and_corrupted(batch), (rate, corruption_rate), strict=True):
        expected = number_to_choose(29, share) / 27
        spread = math.sqrt(expected * (1 - expected) / long.sum().item())
        each = found[long][:, 1:28].double().mean(0)
        assert (each - expected).abs().max() < 4.5 * spread


@pytest.mark.parametrize(("rate", "corruption_rate"), [(0.2, 0.6), (0.6, 0.2)])
def test_the_split_holds_for_the_corrupted_and_labels_are_the_originals(
    rate: float, corruption_rate: float
) -> None:
    # Without kept tokens, and a random token equal to its original aside, corrupted is changed.
    shares = {"mask_share": 0.5, "random_share": 0.5}
    batch = a_batch(sequences=4000, rate=rate, corruption_rate=corruption_rate, **shares)
    view = batch.masked
    labelled = view.labels != IGNORE_INDEX
    assert torch.equal(view.labels[labelled], batch.input_ids[labelled])
    ordinary = (~batch.special_tokens_mask).sum(1)
    corrupted = int(numbers_to_choose(batch, corruption_rate)[:, 0].minimum(ordinary).sum())
    masked = int((view.input_ids == VOCABULARY.mask_id).sum())
    changed = int((view.input_ids != batch.input_ids).sum()) - masked
    seen = 0.5 * (1 - 1 / len(VOCABULARY.ordinary_ids))
    for observed, expected in ((masked, 0.5), (changed, seen)):
        spread = math.sqrt(expected * (1 - expected) / corrupted)
        assert abs(observed / corrupted - expected) < 4.5 * spread
