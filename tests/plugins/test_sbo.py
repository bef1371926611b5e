"""The span boundary objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from tests.plugins.hand_made import batch_of, context

from clozebox.pretraining import passes_of
from clozebox.training.console import Console
from clozebox.training.setup import set_up
from clozebox_sbo import SpanBoundaryConfig

ROW = [10, 11, 12, 13, 14, 15, 16, 17]
# Columns of [CLS] ROW [SEP]: spans 1, 3..5 and 7..8, and one of a shorter sequence.
HIDDEN = [[1, 3, 4, 5, 7, 8], [1, 2, 3]]
BY_HAND = [  # row, column, left neighbour, right neighbour, place
    (0, 1, 0, 2, 0),
    (0, 3, 2, 6, 0),
    (0, 4, 2, 6, 1),
    (0, 5, 2, 6, 2),
    (0, 7, 6, 9, 0),
    (0, 8, 6, 9, 1),
    (1, 1, 0, 4, 0),
    (1, 2, 0, 4, 1),
    (1, 3, 0, 4, 2),
]


def objective(**settings: Any) -> Any:
    made = SpanBoundaryConfig(**settings).build(context())
    made.name = "sbo"
    return made


def loss_by_hand(sbo: Any, hidden: torch.Tensor, batch: Any, last_place: int) -> torch.Tensor:
    total = torch.tensor(0.0)
    for row, column, left, right, place in BY_HAND:
        at = sbo.place.weight[min(place, last_place)]
        joined = torch.cat([hidden[row, left], hidden[row, right], at])
        state = sbo.norm(F.gelu(sbo.dense(joined)))
        total = total - sbo.head(state).log_softmax(-1)[batch.input_ids[row, column]]
    return total


def test_a_token_is_predicted_from_the_neighbours_of_its_span_and_its_place() -> None:
    torch.manual_seed(0)
    batch, hidden = batch_of([ROW, ROW[:4]], HIDDEN), torch.randn(2, 10, 24)
    sbo = objective()
    term = sbo(hidden, sbo.view(batch))["sbo"]
    torch.testing.assert_close(term.loss, loss_by_hand(sbo, hidden, batch, last_place=14))
    assert sbo.targets(batch)["sbo"].count == 9


def test_no_state_inside_a_span_is_read() -> None:
    sbo, hidden = objective(), torch.randn(2, 10, 24, requires_grad=True)
    sbo(hidden, sbo.view(batch_of([ROW, ROW[:4]], HIDDEN)))["sbo"].loss.backward()
    assert hidden.grad is not None
    read = {(row, column) for row, column in hidden.grad.any(-1).nonzero().tolist()}
    assert read == {(row, edge) for row, _, *edges, _ in BY_HAND for edge in edges}


def test_places_beyond_the_last_share_it() -> None:
    torch.manual_seed(0)
    batch, hidden = batch_of([ROW, ROW[:4]], HIDDEN), torch.randn(2, 10, 24)
    sbo = objective(max_span_length=2, place_size=5)
    assert sbo.place.weight.shape == (2, 5)
    term = sbo(hidden, sbo.view(batch))["sbo"]
    torch.testing.assert_close(term.loss, loss_by_hand(sbo, hidden, batch, last_place=1))


def test_it_shares_the_encoder_pass_of_the_masked_language_model(
    make_run: Callable[..., Any], registry: Any
) -> None:
    training = set_up(make_run(objectives=["hidden", "sbo"]), registry, Console().say)
    [one] = passes_of(training.model, training.batches(0)[0])
    assert [objective.name for objective in one.objectives] == ["hidden", "sbo"]
    hidden, sbo = one.objectives
    assert hidden.head is not sbo.head
    assert hidden.head.token_table is sbo.head.token_table
