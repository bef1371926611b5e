"""The loop and the record of a run cost little beside a step; see README.md for how little."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.benchmarks import overhead

pytest.importorskip("clozebox_bert")
pytest.importorskip("clozebox_masking")
pytest.importorskip("clozebox_nsp")

TINY_STEP = 0.08
"""Seconds, of the fastest machine that is likely to come; this one takes four times as long."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_loop_adds_little_to_steps_written_by_hand() -> None:
    """Where there is next to nothing to compute; a tiny step computes twenty times as much."""
    loop, hand = overhead.steps_of(overhead.NEXT_TO_NOTHING, rounds=3, steps=8)
    more = statistics.median(a / b for a, b in zip(loop, hand, strict=True))
    assert more < 1.5


def test_both_take_the_same_steps() -> None:
    """Without dropout: what is compared learns the same."""
    load = overhead.replace(overhead.NEXT_TO_NOTHING, dropout=0.0)
    ours, plain = overhead.Clozebox.of(load), overhead.Clozebox.of(load)
    overhead.as_the_loop(ours, steps=3)
    overhead.by_hand(plain, steps=3)
    for a, b in zip(
        ours.training.model.parameters(), plain.training.model.parameters(), strict=True
    ):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=0)


def test_a_log_point_costs_next_to_nothing_of_ten_steps(tmp_path: Path) -> None:
    pytest.importorskip("clozebox_tensorboard")
    points = overhead.logging(tmp_path, rounds=3, reporters=["tensorboard"])
    assert statistics.median(points) / overhead.LOG_EVERY / TINY_STEP < 0.01
