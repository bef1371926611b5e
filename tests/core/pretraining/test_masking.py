"""What is chosen, and what stands in its place (Devlin et al., 2019, section 3.1)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.data import Rows, TrainingText, Vocabulary
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    MaskingStrategy,
    choose_exactly,
    number_to_choose,
    numbers_to_choose,
)

# Special ids in the middle, as in BERT's own vocabulary, where [UNK] is 100 and [MASK] is 103.
VOCABULARY = Vocabulary(61, 0, 20, 21, 22, 23, special_ids=(0, 20, 21, 22, 23))


TEXT: Any = SimpleNamespace(vocabulary=VOCABULARY)


class Uniform(MaskingStrategy):
    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_exactly(batch.uniform("choice"), batch, rate)


class Settings(MaskingConfig):
    name = "uniform"

    def build(self, text: TrainingText) -> MaskingStrategy:
        return Uniform(self, text.vocabulary)


def a_batch(
    sequences: int = 400,
    length: int = 29,
    first: int = 0,
    seed: int = 3,
    progress: float = 1.0,
    **masking: Any,
) -> Batch:
    """Rows of 4 to ``length`` real tokens, a function of their place in the stream alone."""
    places = np.arange(first, first + sequences)[:, None]
    column = np.arange(length)[None, :]
    real = 4 + places * 7 % (length - 3)
    ids = 24 + (places * 31 + column * 5) % 37
    ids = np.where(column == 0, 21, np.where(column == real - 1, 22, ids))
    ids = np.where(column < real, ids, 0)
    special = (column == 0) | (column >= real - 1)
    rows = Rows(ids, np.zeros_like(ids), column < real, special | (ids == 0))
    strategy = Settings(**masking).build(TEXT)
    return Batch.of(rows, VOCABULARY, strategy, seed=seed, first=first, progress=progress)


def on_meta(batch: Batch) -> Batch:
    """The batch on torch's device without data: whatever asks for a value there raises."""
    names = ("input_ids", "token_type_ids", "attention_mask", "special_tokens_mask")
    return replace(batch, **{name: getattr(batch, name).to("meta") for name in names})


def predicted_and_corrupted(batch: Batch) -> tuple[Tensor, Tensor]:
    """Which tokens have a label, and which are replaced, where every corrupted one is [MASK]."""
    view = batch.masked
    return view.labels != IGNORE_INDEX, view.input_ids == VOCABULARY.mask_id


ALL_MASK = {"mask_share": 1.0, "random_share": 0.0}


@pytest.mark.parametrize("rate", [0.15, 0.4, 0.9])
def test_each_sequence_has_exactly_berts_number_of_tokens_chosen(rate: float) -> None:
    batch = a_batch(rate=rate)
    chosen = batch.masked.labels != IGNORE_INDEX
    ordinary = (~batch.special_tokens_mask).sum(1)
    for sequence, length in enumerate(batch.attention_mask.sum(1).tolist()):
        expected = min(number_to_choose(length, rate), int(ordinary[sequence]))
        assert chosen[sequence].sum() == expected
    assert chosen.sum(1).max() <= batch.masked.max_targets


def test_special_tokens_and_padding_are_never_chosen_nor_inserted() -> None:
    batch = a_batch(rate=0.9, mask_share=0.0, random_share=1.0)
    view = batch.masked
    assert not ((view.labels != IGNORE_INDEX) & batch.special_tokens_mask).any()
    inserted = view.input_ids[view.input_ids != batch.input_ids]
    assert not torch.isin(inserted, torch.tensor(VOCABULARY.special_ids)).any()
    assert torch.equal(
        view.input_ids[batch.special_tokens_mask], batch.input_ids[batch.special_tokens_mask]
    )


def test_labels_are_the_originals_and_nothing_else_is_altered() -> None:
    batch = a_batch(rate=0.3)
    view = batch.masked
    chosen = view.labels != IGNORE_INDEX
    assert torch.equal(view.labels[chosen], batch.input_ids[chosen])
    assert torch.equal(view.input_ids[~chosen], batch.input_ids[~chosen])


@pytest.mark.parametrize("shares", [(0.8, 0.1), (1.0, 0.0), (0.0, 0.0), (0.5, 0.25)])
def test_the_replacement_split_is_as_set(shares: tuple[float, float]) -> None:
    batch = a_batch(sequences=4000, rate=0.3, mask_share=shares[0], random_share=shares[1])
    view = batch.masked
    chosen = view.labels != IGNORE_INDEX
    shown, truth = view.input_ids[chosen], view.labels[chosen]
    masked = (shown == VOCABULARY.mask_id).double().mean().item()
    # A random token is the original itself once in as many draws as there are ordinary tokens.
    changed = ((shown != truth) & (shown != VOCABULARY.mask_id)).double().mean().item()
    seen = shares[1] * (1 - 1 / len(VOCABULARY.ordinary_ids))
    for observed, expected in ((masked, shares[0]), (changed, seen)):
        tolerance = 4.5 * math.sqrt(expected * (1 - expected) / len(shown)) + 1e-12
        assert abs(observed - expected) <= tolerance


def test_every_ordinary_position_and_every_ordinary_token_can_come_up() -> None:
    batch = a_batch(sequences=4000, rate=0.3, mask_share=0.0, random_share=1.0)
    view = batch.masked
    chosen = view.labels != IGNORE_INDEX
    assert torch.equal(chosen.any(0), (~batch.special_tokens_mask).any(0))
    assert set(view.input_ids[chosen].tolist()) == set(VOCABULARY.ordinary_ids.tolist())


def test_positions_are_uniform() -> None:
    batch = a_batch(sequences=6000, length=29, rate=0.3)
    long = batch.attention_mask.sum(1) == 29
    share = (batch.masked.labels != IGNORE_INDEX)[long][:, 1:28].double().mean(0)
    expected = number_to_choose(29, 0.3) / 27
    spread = math.sqrt(expected * (1 - expected) / long.sum().item())
    assert (share - expected).abs().max() < 4.5 * spread


def test_the_choice_depends_on_the_sequence_and_not_on_the_batch_it_is_cut_into() -> None:
    whole = a_batch(sequences=12, first=5)
    parts = [a_batch(sequences=5, first=5), a_batch(sequences=7, first=10)]
    assert torch.equal(whole.masked.labels, torch.cat([part.masked.labels for part in parts]))
    assert torch.equal(whole.masked.input_ids, torch.cat([part.masked.input_ids for part in parts]))


def test_another_seed_and_another_pass_over_the_data_hide_other_tokens() -> None:
    one = a_batch(seed=3).masked.labels
    assert not torch.equal(one, a_batch(seed=4).masked.labels)


def test_the_arm_without_masking_says_so_when_an_objective_asks_for_it() -> None:
    batch = a_batch()
    bare = replace(batch, masking=None)
    with pytest.raises(ValueError, match="no masking"):
        _ = bare.masked


def test_on_a_device_nothing_waits_for_a_value() -> None:
    view = on_meta(a_batch(rate=0.4, corruption_rate=0.2)).masked
    assert view.input_ids.is_meta
    assert view.labels.is_meta


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 1000]), st.floats(0.01, 0.99))
def test_the_lowest_scores_are_chosen_and_of_equal_ones_the_earlier(
    seed: int, levels: int, rate: float
) -> None:
    """Sorted in Python, sequence by sequence; few levels make many ties."""
    batch = a_batch(sequences=6)
    generator = np.random.default_rng(seed)
    score = torch.from_numpy(generator.integers(levels, size=(6, 29)).astype(np.float32)) - 2.5
    chosen = choose_exactly(score, batch, rate)
    for row in range(6):
        ordinary = (~batch.special_tokens_mask[row]).nonzero().flatten().tolist()
        ranked = sorted(ordinary, key=lambda place, row=row: (score[row, place].item(), place))
        number = number_to_choose(int(batch.attention_mask[row].sum()), rate)
        assert chosen[row].nonzero().flatten().tolist() == sorted(ranked[:number])


@given(st.floats(0.01, 0.99))
def test_the_device_counts_as_the_host_does(rate: float) -> None:
    batch = a_batch(sequences=26)
    lengths = batch.attention_mask.sum(1).tolist()
    expected = [number_to_choose(length, rate) for length in lengths]
    assert numbers_to_choose(batch, rate).flatten().tolist() == expected


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


def test_masks_never_change() -> None:
    """Results that were committed depend on it: these masks may not move between versions."""
    view = a_batch(sequences=64, first=1000, seed=7, rate=0.3).masked
    digest = hashlib.sha256(view.input_ids.numpy().tobytes() + view.labels.numpy().tobytes())
    assert digest.hexdigest()[:16] == "b378d19e58ef61a5"
