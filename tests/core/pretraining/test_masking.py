"""What is chosen, and what stands in its place (Devlin et al., 2019, section 3.1)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from clozebox.components import MaskingConfig
from clozebox.data import Rows, Vocabulary
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    MaskingStrategy,
    choose_exactly,
    number_to_choose,
)

# Special ids in the middle, as in BERT's own vocabulary, where [UNK] is 100 and [MASK] is 103.
VOCABULARY = Vocabulary(61, 0, 20, 21, 22, 23, special_ids=(0, 20, 21, 22, 23))


class Uniform(MaskingStrategy):
    def choose(self, batch: Batch) -> torch.Tensor:
        return choose_exactly(batch.uniform("choice"), batch, self.rate)


class Settings(MaskingConfig):
    name = "uniform"

    def build(self, vocabulary: Vocabulary) -> MaskingStrategy:
        return Uniform(self, vocabulary)


def a_batch(
    sequences: int = 400, length: int = 29, first: int = 0, seed: int = 3, **masking: Any
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
    strategy = Settings(**masking).build(VOCABULARY)
    return Batch.of(rows, VOCABULARY, strategy, seed=seed, first=first)


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
