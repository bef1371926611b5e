"""What is chosen, and what stands in its place (Devlin et al., 2019, section 3.1)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.core.pretraining.masked_rows import VOCABULARY, a_batch, on_meta

from clozebox.pretraining import (
    IGNORE_INDEX,
    choose_exactly,
    corruption,
    masking,
    number_to_choose,
    numbers_to_choose,
)


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


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 1000]), st.floats(0.01, 0.99))
def test_a_device_chooses_and_corrupts_as_the_host_does(
    seed: int, levels: int, rate: float
) -> None:
    """What is computed on a GPU, computed here by the same functions, is what numpy computes."""
    batch = a_batch(sequences=6, seed=seed)
    special, numbers = batch.special_tokens_mask, numbers_to_choose(batch, rate)
    bits = batch.bits("score")
    highest = torch.from_numpy(bits.numpy() | np.uint32(2**32 - levels))  # ties with the excluded
    for score in ((batch.uniform("score") * levels).round() / levels, bits, highest):
        chosen = masking._lowest(score, special, numbers)
        assert torch.equal(chosen, masking._lowest_on_host(score, special, numbers))
    assert batch.masking is not None
    for split in (batch.masking.split, batch.masking.split._replace(random_share=0.0)):
        for fate in (None, batch.uniform("fate")):
            given = (batch.input_ids, chosen, bits, split, fate)
            assert torch.equal(corruption._corrupted(*given), corruption._corrupted_on_host(*given))


@given(st.floats(0.01, 0.99))
def test_as_many_are_counted_as_bert_would(rate: float) -> None:
    batch = a_batch(sequences=26)
    lengths = batch.attention_mask.sum(1).tolist()
    expected = [number_to_choose(length, rate) for length in lengths]
    assert numbers_to_choose(batch, rate).flatten().tolist() == expected


def test_masks_never_change() -> None:
    """Results that were committed depend on it: these masks may not move between versions."""
    view = a_batch(sequences=64, first=1000, seed=7, rate=0.3).masked
    digest = hashlib.sha256(view.input_ids.numpy().tobytes() + view.labels.numpy().tobytes())
    assert digest.hexdigest()[:16] == "b88bdefb3e5e1495"
