"""What only a CUDA device shows: no waiting, the same choices as on the CPU, exact resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clozebox.training import RunDirectory
from clozebox.training.checkpoint import newest_checkpoint
from clozebox.training.console import Console
from clozebox.training.run import run_training
from clozebox.training.setup import set_up
from clozebox.training.step import train_step

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

ON_GPU: dict[str, Any] = {"speed": {"device": "cuda"}, "objectives": ["hidden", "pair"]}


@pytest.fixture
def waiting_is_an_error() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


MIXED: dict[str, Any] = ON_GPU | {
    "objectives": ["hidden", "ahead", "behind"],
    "objective": {"hidden": {"share": 0.5}, "ahead": {"share": 0.3}, "behind": {"share": 0.2}},
    "masking": {"name": "toy", "rate": 0.3, "final_rate": 0.1, "corruption_rate": 0.4},
}


@pytest.mark.parametrize("choice", [ON_GPU, MIXED], ids=["hidden+pair", "mixture"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_waits_for_nothing(
    make_run: Callable[..., RunDirectory],
    registry: Any,
    request: pytest.FixtureRequest,
    precision: str,
    choice: dict[str, Any],
) -> None:
    training = set_up(make_run(train={"precision": precision}, **choice), registry, print)
    objectives = training.model.each_objective()
    # The first step allocates the moments.
    train_step(training, objectives, training.batches(0))
    batches = training.batches(1, progress=0.5)
    request.getfixturevalue("waiting_is_an_error")
    train_step(training, objectives, batches)


@pytest.mark.parametrize("choice", [ON_GPU, MIXED], ids=["one rate", "rates that differ"])
def test_masks_and_labels_are_those_of_the_cpu(
    make_run: Callable[..., RunDirectory], registry: Any, choice: dict[str, Any]
) -> None:
    training = set_up(make_run(**choice), registry, print)
    [whole] = training.batches(0, progress=0.5)
    there = whole.take(np.array([0, 2, 5]))
    here = replace(
        there,
        **{
            name: getattr(there, name).cpu()
            for name in ("input_ids", "token_type_ids", "attention_mask", "special_tokens_mask")
        },
    )
    assert torch.equal(there.masked.input_ids.cpu(), here.masked.input_ids)
    assert torch.equal(there.masked.labels.cpu(), here.masked.labels)


def test_the_bounded_rows_of_a_gpu_give_the_loss_of_the_exact_rows(
    make_run: Callable[..., RunDirectory], registry: Any
) -> None:
    training = set_up(make_run(**ON_GPU), registry, print)
    [batch] = training.batches(0)
    hidden = training.model.encode(batch.masked)
    objective = training.model.objectives["hidden"]
    bounded = objective(hidden, batch.masked)["hidden"]
    exact = objective(hidden, replace(batch.masked, max_targets=None))["hidden"]
    torch.testing.assert_close(bounded.loss, exact.loss)
    assert bounded.metrics["accuracy"] == exact.metrics["accuracy"]


def test_two_runs_agree_to_the_bit(make_run: Callable[..., RunDirectory], registry: Any) -> None:
    weights = []
    for name in ("one", "other"):
        run = make_run(name, encoder={"name": "toy", "dropout": 0.1}, **ON_GPU)
        assert run_training(run, registry, Console()) == 0
        last = newest_checkpoint(run.checkpoints)
        assert last is not None
        weights.append(load_file(last / "model.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
