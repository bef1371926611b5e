"""Prefix language modelling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tests.plugins.hand_made import batch_of, context

from clozebox.pretraining import IGNORE_INDEX
from clozebox_prefix_lm import PrefixConfig

X = IGNORE_INDEX
ROW = [10, 11, 12, 13, 14, 15, 16, 17]


def objective(**settings: Any) -> Any:
    made = PrefixConfig(**settings).build(context())
    made.name = "prefix_lm"
    return made


def prefix_lengths(view: Any, rows: int, length: int) -> torch.Tensor:
    """How many positions the first one looks at: (B,)."""
    return view.attention.pattern(rows, length)[:, 0].sum(1)


def test_half_a_sequence_is_shown_and_the_rest_predicted() -> None:
    view = objective(low=0.5, high=0.5).view(batch_of([ROW, ROW[:4]]))
    assert prefix_lengths(view, 2, 10).tolist() == [5, 3]
    assert view.labels.tolist() == [
        [X, X, X, X, 14, 15, 16, 17, 3, X],
        [X, X, 12, 13, 3, X, X, X, X, X],
    ]
    assert view.max_targets == 5
    sees = view.attention.pattern(2, 10)[0].int().tolist()
    assert sees[0] == sees[3] == [1] * 5 + [0] * 5, "inside the prefix, both sides"
    assert sees[6] == [1] * 7 + [0] * 3, "behind it, the left side"


def test_prefixes_are_spread_over_the_range() -> None:
    batch = batch_of([[10] * 98] * 200)
    lengths = prefix_lengths(objective(low=0.2, high=0.6).view(batch), 200, 100).double()
    assert lengths.min() >= 20
    assert lengths.max() <= 60
    assert lengths.min() < 23
    assert lengths.max() > 57
    assert lengths.mean() == pytest.approx(39.5, abs=2.5)


def test_without_a_prefix_it_is_the_causal_model() -> None:
    batch = batch_of([ROW, ROW[:3]])
    view = objective(low=0.0, high=1e-6).view(batch)
    assert view.labels.equal(batch.causal.labels)
    causal = batch.causal.attention.pattern(2, 10)
    real = batch.attention_mask
    assert view.attention.pattern(2, 10)[0].equal(causal[0])
    assert view.attention.pattern(2, 10)[1, real[1]][:, real[1]].equal(causal[1, :5, :5])


def test_in_a_cloze_all_before_the_first_blank_is_prefix() -> None:
    blanks = torch.zeros(2, 10, dtype=torch.bool)
    blanks[0, [4, 7]] = True
    blanks[1, 1] = True
    view = objective().cloze(batch_of([ROW, ROW[:4]]), blanks)
    assert prefix_lengths(view, 2, 10).tolist() == [4, 1]
    assert view.labels.tolist() == [
        [X, X, X, 13, X, X, 16, X, X, X],
        [10, X, X, X, X, X, X, X, X, X],
    ]


@pytest.mark.parametrize("wrong", [{"low": 0.8}, {"high": 1.0}, {"low": -0.1}, {"high": 0.1}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        PrefixConfig.model_validate(wrong)
