"""The global generators are a function of (seed, stream, step), and of nothing that ran before."""

from __future__ import annotations

import random

import numpy
import pytest
import torch

from clozebox.training.seeds import seed_globals


def draws(*key: object) -> tuple[float, float, float]:
    seed_globals(*key)  # type: ignore[arg-type]
    return torch.rand(()).item(), random.random(), float(numpy.random.rand())


def test_the_same_step_draws_the_same_whatever_was_drawn_between() -> None:
    first = draws(3, "step", 7)
    torch.rand(100)
    assert draws(3, "step", 7) == first


@pytest.mark.parametrize("other", [(4, "step", 7), (3, "step", 8), (3, "evaluation", 7)])
def test_another_seed_step_or_stream_draws_otherwise(other: tuple[object, ...]) -> None:
    assert not set(draws(*other)) & set(draws(3, "step", 7))
