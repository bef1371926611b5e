"""AdamW with BERT's exclusions, and schedules over the share of the budget that is spent."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from clozebox.config.settings import Optim
from clozebox.training.optimizer import GuardedAdamW, lr_at, parameter_groups


def test_matrices_decay_and_biases_and_layer_norms_do_not() -> None:
    model = nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 3), nn.LayerNorm(3))
    decays, others = parameter_groups(model, 0.01)
    assert decays["weight_decay"] == 0.01
    assert others["weight_decay"] == 0.0
    assert {p.shape for p in decays["params"]} == {(7, 5), (3, 5)}
    assert [p.dim() for p in others["params"]] == [1, 1, 1]


def test_the_update_is_that_of_plain_adamw() -> None:
    torch.manual_seed(0)
    start = torch.randn(4, 3)
    ours, plain = nn.Linear(3, 4, bias=False), nn.Linear(3, 4, bias=False)
    for layer in (ours, plain):
        layer.weight.data.copy_(start)
    config = Optim(lr=0.1, beta2=0.98, eps=1e-6, weight_decay=0.3)
    mine = GuardedAdamW(ours, config)
    theirs = torch.optim.AdamW(
        plain.parameters(), lr=0.1, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.3, foreach=False
    )
    for step in range(5):
        gradient = torch.full((4, 3), float(step + 1)) * start.sign()
        ours.weight.grad, plain.weight.grad = gradient.clone(), gradient.clone()
        mine.guard(gradient.norm())
        mine.step()
        theirs.step()
    torch.testing.assert_close(ours.weight, plain.weight, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "middle", "end"),
    [("constant", 1.0, 1.0), ("linear", 0.5, 0.0), ("cosine", 0.5, 0.0), ("wsd", 1.0, 0.0)],
)
def test_schedules_warm_up_and_end_where_they_should(
    schedule: str, middle: float, end: float
) -> None:
    config = Optim(lr=2.0, warmup=0.2, decay=0.25, schedule=schedule)  # type: ignore[arg-type]
    assert lr_at(0.0, config) == 0.0
    assert lr_at(0.1, config) == pytest.approx(1.0)
    assert lr_at(0.2, config) == pytest.approx(2.0)
    assert lr_at(0.6, config) == pytest.approx(2.0 * middle)
    assert lr_at(1.0, config) == pytest.approx(2.0 * end)


def test_a_schedule_without_warm_up_starts_at_the_full_rate() -> None:
    assert lr_at(0.0, Optim(lr=2.0, warmup=0.0)) == 2.0
