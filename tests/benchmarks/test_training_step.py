"""The step is that of Hugging Face in arithmetic, and several times as fast (see README.md)."""

from __future__ import annotations

import statistics
import time

import pytest
import torch
from tests.benchmarks.peers import Clozebox, Step, Workload, assert_same_arithmetic, peers

for plugin in ("clozebox_mlm", "clozebox_nsp", "clozebox_sizes", "clozebox_masking"):
    pytest.importorskip(plugin)
pytest.importorskip("transformers", reason="needs the hf extra")

LOAD = Workload("tiny", sequences=8, length=64)


@pytest.mark.parametrize("padded", [True, False])
def test_loss_and_gradients_are_those_of_hugging_face(padded: bool) -> None:
    assert_same_arithmetic(Workload("tiny", 8, 32, padded, vocabulary=500))


def test_a_step_is_several_times_as_fast() -> None:
    """A third of what a quiet machine shows; of the processor's time, which others do not take."""
    ours = Clozebox.of(LOAD)
    theirs = peers(ours, ("hugging_face",))["hugging_face"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ours.step(), theirs()  # what is only done once
    ratios = [_seconds(theirs) / _seconds(ours.step) for _ in range(5)]
    torch.set_num_threads(threads)
    assert statistics.median(ratios) > 2.5


def _seconds(step: Step) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start
