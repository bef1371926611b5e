"""Masked next token prediction."""

from __future__ import annotations

from typing import Any

import torch
from tests.plugins.hand_made import VOCABULARY, batch_of, context

from clozebox.pretraining import IGNORE_INDEX
from clozebox_mntp import MaskedNextTokenConfig

X = IGNORE_INDEX


def objective() -> Any:
    made = MaskedNextTokenConfig().build(context())
    made.name = "mntp"
    return made


def test_a_hidden_token_is_read_from_the_position_before_it() -> None:
    batch = batch_of([[10, 11, 12, 13], [20, 21]], hidden=[[1, 3], [2]])
    view = objective().view(batch)
    assert view.input_ids.tolist() == [[2, 4, 11, 4, 13, 3], [2, 20, 4, 3, 0, 0]]
    assert view.labels.tolist() == [[10, X, 12, X, X, X], [X, 21, X, X, X, X]]
    assert view.attention.kind == "bidirectional"
    assert VOCABULARY.mask_id == 4


def test_the_loss_is_that_of_the_state_before() -> None:
    mntp = objective()
    view = mntp.view(batch_of([[10, 11, 12, 13]], hidden=[[2]]))
    hidden = torch.randn(1, 6, 24)
    expected = -mntp.head(hidden[:, 1]).log_softmax(-1)[0, 11]
    torch.testing.assert_close(mntp(hidden, view)["mntp"].loss, expected)


def test_a_blank_is_hidden_and_asked_for_one_to_the_left() -> None:
    batch = batch_of([[10, 11, 12, 13]])
    view = objective().cloze(batch, torch.tensor([[0, 0, 1, 0, 1, 0]], dtype=torch.bool))
    assert view.input_ids.tolist() == [[2, 10, 4, 12, 4, 3]]
    assert view.labels.tolist() == [[X, 11, X, 13, X, X]]
