"""What only a CUDA device shows: no waiting, the same choices as on the CPU, exact resume."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clozebox.model import Attention, Extents, MultiHeadSelfAttention
from clozebox.model.kernels import Kernel, candidates
from clozebox.training import RunDirectory
from clozebox.training.checkpoint import newest_checkpoint
from clozebox.training.console import Console
from clozebox.training.run import run_training
from clozebox.training.setup import set_up
from clozebox.training.step import train_step
from clozebox.training.switches import Switches, use_kernel

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


@pytest.mark.parametrize("kernel", ["torch", "flash", "efficient", "varlen"])
def test_no_kernel_waits(
    make_run: Callable[..., RunDirectory],
    registry: Any,
    request: pytest.FixtureRequest,
    kernel: Kernel,
) -> None:
    run = make_run(train={"precision": "bf16"}, **ON_GPU | {"objectives": ["hidden", "ahead"]})
    training = set_up(run, registry, print)
    use_kernel(training.model, kernel)
    objectives = training.model.each_objective()
    train_step(training, objectives, training.batches(0))
    request.getfixturevalue("waiting_is_an_error")
    # Fetched here: also what is laid out and sent over must not wait.
    train_step(training, objectives, training.batches(1, progress=0.5))


@pytest.mark.parametrize("kind", ["bidirectional", "causal", "anticausal"])
@pytest.mark.parametrize("packs_documents", [False, True])
def test_kernels_agree_with_the_products_of_a_cpu(kind: Any, packs_documents: bool) -> None:
    """Forward and backward, to the rounding of bf16; padding is not looked at."""
    lengths = np.array([40, 64, 3, 17, 33, 0, 64, 1])
    real = torch.arange(64) < torch.from_numpy(lengths)[:, None]
    documents = (torch.arange(64) // 13).expand(8, -1).contiguous() if packs_documents else None
    module = MultiHeadSelfAttention(96, 6, dropout=0.0)
    hidden = torch.randn(8, 64, 96)

    def outcome(kernel: Kernel, device: str, weights: MultiHeadSelfAttention) -> list[Any]:
        mask = real.to(device)
        on_host = None if documents is None else documents.numpy()
        on_device = None if documents is None else documents.to(device)
        known = Extents(mask, lengths, on_host)
        attention = Attention(mask, kind, document_ids=on_device, extents=known)
        moved = copy.deepcopy(weights).to(device)
        moved.kernel = kernel
        layout = attention.packing if kernel == "varlen" else None
        with torch.autocast(device, dtype=torch.bfloat16):
            given = hidden.to(device)
            mixed = moved(given if layout is None else layout.lay_out(given), attention)
            mixed = (mixed if layout is None else layout.put_back(mixed))[mask]
        mixed.float().square().mean().backward()
        return [mixed.detach().float().cpu(), *(p.grad.cpu() for p in moved.parameters())]

    wanted = outcome("products", "cpu", module)
    for kernel in candidates("cuda", "bf16", 0.0):
        for ours, plain in zip(outcome(kernel, "cuda", module), wanted, strict=True):
            torch.testing.assert_close(ours, plain, rtol=2e-2, atol=2e-2)


def test_the_fastest_kernel_is_chosen_and_kept(
    make_run: Callable[..., RunDirectory], registry: Any
) -> None:
    run = make_run(train={"precision": "bf16"}, **ON_GPU)
    assert run_training(run, registry, Console()) == 0
    found = Switches.of(run)
    assert found is not None
    assert found.device == "cuda"
    assert found.attention in candidates("cuda", "bf16", 0.0)


def test_compiled_layers_compute_the_same(
    make_run: Callable[..., RunDirectory], registry: Any
) -> None:
    found = []
    for compiled in (False, True):
        speed = {"device": "cuda", "compile": compiled}
        choice = ON_GPU | {"speed": speed, "encoder": {"name": "toy", "dropout": 0.1}}
        training = set_up(make_run(f"compiled-{compiled}", **choice), registry, print)
        torch.manual_seed(0)
        sums = train_step(training, training.model.each_objective(), training.batches(0))
        found.append(sums)
    torch.testing.assert_close(found[0].grad_norm, found[1].grad_norm, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[0].sums["hidden_loss"], found[1].sums["hidden_loss"])


def test_memory_that_runs_out_is_survived(
    make_run: Callable[..., RunDirectory], registry: Any
) -> None:
    """With the allocator held to a share of the device that the whole batch does not fit into."""
    sizes = {"batch_size": 4096, "seq_length": 32}
    speed = {"device": "cuda", "micro_batch_size": "auto"}
    run = make_run(**ON_GPU | {"speed": speed, "train": sizes, "budget": {"steps": 2}})
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**28) / whole)
    try:
        assert run_training(run, registry, Console()) == 0
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    found = Switches.of(run)
    assert found is not None
    assert found.micro_batch_size < 4096


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


@pytest.mark.parametrize("dropout", [0.1, 0.0])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_runs_agree_to_the_bit(
    make_run: Callable[..., RunDirectory], registry: Any, precision: str, dropout: float
) -> None:
    weights = []
    for name in ("one", "other"):
        encoder = {"name": "toy", "dropout": dropout}
        run = make_run(name, encoder=encoder, train={"precision": precision}, **ON_GPU)
        assert run_training(run, registry, Console()) == 0
        last = newest_checkpoint(run.checkpoints)
        assert last is not None
        weights.append(load_file(last / "model.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
