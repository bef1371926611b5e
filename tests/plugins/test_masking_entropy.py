"""Weights from the neighbours, and sampling in proportion to them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from tests.plugins.masking_rows import CLS, SEP, WORD, WrittenText, batch_of, single_words

from clozebox_masking import EntropyMaskingConfig, TokenMaskingConfig
from clozebox_masking.entropy import neighbour_entropies


def a_text(seed: int = 0) -> WrittenText:
    """Some tokens say what comes next, others leave it open."""
    generator = np.random.default_rng(seed)
    sentences = []
    for _ in range(300):
        sentence = [WORD + int(generator.integers(0, 3))]
        while len(sentence) < 9:
            last = sentence[-1] - WORD
            step = 1 if last % 2 else int(generator.integers(1, 12))
            sentence.append(WORD + (last + step) % 13)
        sentences.append(sentence)
    return WrittenText(sentences)


def entropy(counts: Counter[int]) -> float:
    total = sum(counts.values())
    return -sum(count / total * math.log(count / total) for count in counts.values())


def test_entropies_are_those_of_the_neighbours() -> None:
    text: Any = a_text()
    follows: dict[int, Counter[int]] = defaultdict(Counter)
    precedes: dict[int, Counter[int]] = defaultdict(Counter)
    for block in text.blocks():
        for left, right in zip(block.ids[:-1].tolist(), block.ids[1:].tolist(), strict=True):
            follows[left][right] += 1
            precedes[right][left] += 1
    anything = entropy(Counter(id for sentence in text.sentences for id in sentence))
    found = neighbour_entropies(text)
    for table, neighbours in ((found.after, follows), (found.before, precedes)):
        for id in range(WORD, WORD + 13):
            seen, kinds = sum(neighbours[id].values()), len(neighbours[id])
            new = kinds / (seen + kinds)
            due = (1 - new) * entropy(neighbours[id]) + new * anything
            assert table[id] == pytest.approx(due)
        assert table[WORD + 20] == pytest.approx(anything)  # never seen: it tells nothing
    assert found.after[CLS] == pytest.approx(entropy(Counter(s[0] for s in text.sentences)))
    assert found.before[SEP] == pytest.approx(entropy(Counter(s[-1] for s in text.sentences)))


def test_a_weight_is_the_mean_of_what_both_neighbours_leave_open() -> None:
    text: Any = a_text()
    row, found = text.sentences[0], neighbour_entropies(text)
    strategy: Any = batch_of([row], EntropyMaskingConfig(), text).masking
    left, right = [CLS, *row[:-1]], [*row[1:], SEP]
    due = [(found.after[a] + found.before[b]) / 2 for a, b in zip(left, right, strict=True)]
    weights = strategy.weights(batch_of([row]))[0, 1:-1].tolist()
    assert weights == pytest.approx(due, rel=1e-6)


def test_a_weight_depends_on_the_neighbours_and_not_on_the_token() -> None:
    text: Any = a_text()
    contents = [[WORD + n for n in range(12)] for _ in range(13)]
    for row in range(12):  # row n is the last, with its n-th token changed
        contents[row][row] = WORD + (row + 5) % 13
    batch = batch_of(contents, EntropyMaskingConfig(), text)
    strategy: Any = batch.masking
    weights = strategy.weights(batch)[:, 1:-1]
    differs = (weights != weights[-1])[:12]
    place = torch.arange(12)
    distance = (place[:, None] - place[None, :]).abs()
    assert not differs[distance != 1].any()
    assert differs[distance == 1].any()


def test_one_of_a_row_is_chosen_in_proportion_to_its_weight() -> None:
    text: Any = a_text()
    row = text.sentences[0]
    batch = batch_of([row] * 40_000, EntropyMaskingConfig(rate=0.1, sharpness=2.0), text)
    strategy: Any = batch.masking
    weight = strategy.weights(batch)[0, 1:-1].double() ** 2
    due = weight / weight.sum()
    assert due.max() > 1.5 * due.min()
    share = (batch.masked.labels >= 0)[:, 1:-1].double().mean(0)
    spread = (due * (1 - due) / 40_000).sqrt()
    assert ((share - due).abs() < 4.5 * spread).all()


def test_without_sharpness_all_tokens_are_alike() -> None:
    text: Any = a_text()
    even = batch_of(text.sentences, EntropyMaskingConfig(sharpness=0.0), text)
    assert torch.equal(
        even.masked.labels, batch_of(text.sentences, TokenMaskingConfig()).masked.labels
    )


def test_the_sharper_the_more_open_are_the_places_chosen() -> None:
    text: Any = a_text()
    means = []
    for sharpness in (0.0, 0.5, 1.0, 4.0):
        batch = batch_of(text.sentences, EntropyMaskingConfig(sharpness=sharpness), text)
        strategy: Any = batch.masking
        means.append(strategy.weights(batch)[batch.masked.labels >= 0].mean().item())
    assert means == sorted(means)
    assert means[-1] > 1.1 * means[0]


def test_a_long_row_is_filled_to_its_number() -> None:
    text: Any = a_text()
    batch = batch_of(single_words(50, 100), EntropyMaskingConfig(rate=0.9, sharpness=10.0), text)
    assert ((batch.masked.labels >= 0).sum(1) == round(102 * 0.9)).all()
