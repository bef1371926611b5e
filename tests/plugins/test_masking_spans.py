"""Spans of SpanBERT, and n-grams of ALBERT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tests.plugins.masking_rows import (
    PIECE,
    SEP,
    VOCABULARY,
    WORD,
    batch_of,
    single_words,
    words_of_sizes,
)
from torch import Tensor

from clozebox.pretraining import IGNORE_INDEX, Batch, numbers_to_choose
from clozebox_masking import NgramMaskingConfig, SpanMaskingConfig
from clozebox_masking.spans import geometric, harmonic
from clozebox_masking.units import word_begins, word_starters

WORDS = 120


def test_lengths_are_geometric_and_made_to_sum_to_one() -> None:
    chances = geometric(0.2, 10)
    assert chances.round(3).tolist() == [
        *(0.224, 0.179, 0.143, 0.115, 0.092),
        *(0.073, 0.059, 0.047, 0.038, 0.030),
    ]
    assert chances.sum() == pytest.approx(1)
    assert round(float(chances @ np.arange(1, 11)), 3) == 3.797


def test_an_ngram_of_n_words_comes_once_in_n() -> None:
    np.testing.assert_allclose(harmonic(3), np.array([6, 3, 2]) / 11)


def spans(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Of all spans of a batch of single words that touch no end: length in words, and score."""
    strategy: Any = batch.masking
    lengths, scores = [], []
    score = batch.uniform("choice").numpy()
    for row, begin in enumerate(strategy.span_begin(batch).numpy()[:, 1:-1]):
        first = np.unique(begin)
        lengths.append(np.diff(first)[1:])
        scores.append(score[row, first[1:-1]])
    return np.concatenate(lengths), np.concatenate(scores)


def chi_squared(lengths: np.ndarray, chances: Sequence[float]) -> float:
    seen = np.bincount(lengths, minlength=len(chances) + 1)[1:]
    due = np.array(chances) / sum(chances) * len(lengths)
    return float(((seen - due) ** 2 / due).sum())


@pytest.mark.parametrize(
    ("config", "chances", "critical"),
    [  # the chi-squared that chance exceeds once in a thousand
        (SpanMaskingConfig(), geometric(0.2, 10), 27.9),
        (SpanMaskingConfig(p=0.5, max_length=4), geometric(0.5, 4), 16.3),
        (NgramMaskingConfig(), harmonic(3), 13.8),
        (NgramMaskingConfig(max_n=6), harmonic(6), 20.5),
    ],
)
def test_chosen_spans_have_the_lengths_of_the_distribution(
    config: Any, chances: np.ndarray, critical: float
) -> None:
    batch = batch_of(single_words(4000, WORDS), config)
    lengths, scores = spans(batch)
    # Of the spans of a stretch, those that touch no end: a longer one has fewer places to lie.
    room = WORDS - 1 - np.arange(1, len(chances) + 1)
    assert chi_squared(lengths, list(chances * room)) < critical
    assert chi_squared(lengths[scores < 0.1], list(chances * room)) < critical
    by_length = chances * room * np.arange(1, len(chances) + 1)
    assert chi_squared(lengths, list(by_length)) > 100 * critical


def test_the_mean_of_the_chosen_spans_is_that_of_spanbert() -> None:
    batch = batch_of(single_words(4000, WORDS), SpanMaskingConfig())
    lengths, scores = spans(batch)
    room = WORDS - 1 - np.arange(1, 11)
    chances = geometric(0.2, 10) * room / (geometric(0.2, 10) * room).sum()
    mean = chances @ np.arange(1, 11)
    assert 3.70 < mean < 3.797
    taken = lengths[scores < 0.2]
    assert abs(taken.mean() - mean) < 4.5 * taken.std() / np.sqrt(len(taken))


def hidden(batch: Batch) -> Tensor:
    return batch.masked.labels != IGNORE_INDEX


def test_whole_spans_are_hidden_but_for_one_that_is_cut_to_the_number() -> None:
    batch = batch_of(single_words(500, WORDS), SpanMaskingConfig(rate=0.2))
    strategy: Any = batch.masking
    begin, chosen = strategy.span_begin(batch), hidden(batch)
    assert torch.equal(chosen.sum(1, keepdim=True), numbers_to_choose(batch, 0.2))
    cuts = 0
    for row in range(500):
        of = {first: chosen[row][begin[row] == first] for first in set(begin[row].tolist())}
        cut = [part for part in of.values() if part.any() and not part.all()]
        cuts += len(cut)
        assert len(cut) <= 1
        for part in cut:  # its beginning or its end is left out
            assert part.int().diff().abs().sum() == 1
    assert cuts > 250


def test_no_side_is_favoured_and_no_place_much() -> None:
    batch = batch_of(single_words(20_000, 30), SpanMaskingConfig(rate=0.3))
    share = hidden(batch)[:, 1:-1].double().mean(0)
    spread = (share.mean() * (1 - share.mean()) / 20_000).sqrt()
    assert (share - share.flip(0)).abs().max() < 4.5 * 2**0.5 * spread
    # The span that is cut to the number is rather a long one, and those at the ends are shorter.
    assert (share / share.mean() - 1).abs().max() < 0.08


def test_spans_begin_where_words_do_and_end_at_special_tokens() -> None:
    content = [*words_of_sizes([2, 1, 3]), SEP, PIECE, WORD, *words_of_sizes([1, 4, 2, 2])]
    batch = batch_of([content] * 2000, SpanMaskingConfig())
    strategy: Any = batch.masking
    begin = strategy.span_begin(batch)
    begins = begin == torch.arange(begin.shape[1])
    assert not (begins & ~word_begins(batch, word_starters(VOCABULARY))).any()
    special = batch.special_tokens_mask
    assert begins[special].all()
    assert begins[special.roll(1, 1)].all()


def test_a_span_begins_at_any_word_with_the_same_chance() -> None:
    """So the layout knows nothing of where the sequence begins."""
    batch = batch_of(single_words(20_000, 30), SpanMaskingConfig())
    strategy: Any = batch.masking
    begin = strategy.span_begin(batch)
    begins = (begin == torch.arange(begin.shape[1]))[:, 2:-1].double().mean(0)
    due = 1 / 3.7971
    assert (begins - due).abs().max() < 4.5 * np.sqrt(due * (1 - due) / 20_000)


@pytest.mark.parametrize(("split", "shared"), [("span", True), ("token", False)])
def test_the_tokens_of_a_span_share_their_fate(split: Any, shared: bool) -> None:
    config = SpanMaskingConfig(rate=0.3, split=split, mask_share=0.5, random_share=0.0)
    batch = batch_of(single_words(1000, 40), config)
    strategy: Any = batch.masking
    begin, chosen = strategy.span_begin(batch), hidden(batch)
    masked = batch.masked.input_ids == VOCABULARY.mask_id
    same = (begin == begin.roll(1, 1)) & chosen & chosen.roll(1, 1)
    alike = (masked == masked.roll(1, 1))[same].double().mean().item()
    assert alike == 1 if shared else abs(alike - 0.5) < 0.05
    assert abs(masked[chosen].double().mean().item() - 0.5) < 0.05


def test_the_fates_of_an_ngram_are_each_tokens_own() -> None:
    config = NgramMaskingConfig(rate=0.3, mask_share=0.5, random_share=0.0)
    batch = batch_of(single_words(1000, 40), config)
    assert batch.masking is not None
    assert batch.masking.fate(batch) is None


def test_longest_spans_of_one_word_are_single_words() -> None:
    batch = batch_of([words_of_sizes([1, 2, 1, 3, 1])] * 50, NgramMaskingConfig(max_n=1))
    strategy: Any = batch.masking
    begins = word_begins(batch, word_starters(VOCABULARY))
    place = torch.arange(begins.shape[1])
    assert torch.equal(strategy.span_begin(batch) == place, begins)
