"""The energy-based cloze model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.plugins.hand_made import VOCABULARY, batch_of, context

from clozebox.pretraining import IGNORE_INDEX, number_to_choose
from clozebox_electric import ElectricConfig

ROW = list(range(10, 30))


def objective(rate: float = 0.15, **shape: Any) -> Any:
    made = ElectricConfig(rate=rate).build(context(**shape))
    made.name = "electric"
    return made


def test_an_exact_share_of_the_ordinary_tokens_is_noise() -> None:
    batch = batch_of([ROW, ROW[:7]])
    view = objective(rate=0.3).view(batch)
    assert (view.labels == IGNORE_INDEX).equal(batch.special_tokens_mask)
    noise = view.labels == 1
    assert noise.sum(1).tolist() == [number_to_choose(22, 0.3), number_to_choose(9, 0.3)]
    assert view.input_ids[~noise].equal(batch.input_ids[~noise])
    assert not view.input_ids.eq(batch.input_ids)[noise].all()


def test_noise_is_any_ordinary_token_alike_the_original_too() -> None:
    batch = batch_of([[10] * 98] * 200)
    view = objective(rate=0.5).view(batch)
    drawn = view.input_ids[view.labels == 1]
    assert len(drawn) == 10_000
    counts = np.bincount(drawn.numpy(), minlength=VOCABULARY.size)
    assert not counts[list(VOCABULARY.special_ids)].any()
    assert counts[5:].min() > 0.8 * 10_000 / 35
    assert counts[5:].max() < 1.2 * 10_000 / 35


def test_the_loss_is_electrics() -> None:
    electric = objective(rate=0.3)
    batch, hidden = batch_of([ROW, ROW[:7]]), torch.randn(2, 22, 24)
    view = electric.view(batch)
    by_hand = torch.tensor(0.0)
    kinds = 35  # ordinary tokens: q = 1 / 35
    for row, (n, k) in enumerate([(20, 7), (7, 3)]):
        for column in range(1, n + 1):
            energy = math.log(kinds) + electric.energy(hidden[row, column])[0]
            real = -energy - math.log(k / kinds / (n - k))
            is_noise = view.labels[row, column] == 1
            by_hand = by_hand - F.logsigmoid(-real if is_noise else real)
    torch.testing.assert_close(electric(hidden, view)["electric"].loss, by_hand)


def test_the_energy_becomes_minus_the_log_probability_of_the_token() -> None:
    """Where tokens are independent, that of a token is its share of the text."""
    torch.manual_seed(0)
    shares = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])
    electric = objective(rate=0.5, hidden_size=40, num_attention_heads=4)
    text = torch.multinomial(shares, 200 * 498, replacement=True) + 5
    view = electric.view(batch_of(text.view(200, 498).tolist()))
    hidden = F.one_hot(view.input_ids, 40).float()  # the token itself, and nothing of the others
    optimizer = torch.optim.LBFGS(
        electric.energy.parameters(), max_iter=200, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = electric(hidden, view)["electric"].loss / view.input_ids.numel()
        total.backward()
        return total

    for _ in range(5):
        optimizer.step(loss)
    energy = math.log(35) + electric.energy(torch.eye(40)).squeeze(1)[5:10]
    assert (-energy).exp().tolist() == pytest.approx(shares.tolist(), rel=0.06)
