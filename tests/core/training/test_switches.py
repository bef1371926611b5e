"""What is chosen by trying: kept with the run, the same for all runs of a shape, and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.core.training.outcome import interrupt_after

from clozebox import ModelShape
from clozebox.errors import UserError
from clozebox.model import Attention, BertEncoder, initialise
from clozebox.training import RunDirectory, device, memory, switches
from clozebox.training.compilation import compile_layers
from clozebox.training.console import Console
from clozebox.training.device import Numerics
from clozebox.training.run import run_training
from clozebox.training.setup import set_up
from clozebox.training.switches import Switches, Workload, fastest, measure

MakeRun = Callable[..., RunDirectory]
CPU = torch.device("cpu")


@pytest.fixture
def train(registry: Any) -> Callable[[RunDirectory], int]:
    return lambda run: run_training(run, registry, Console())


def timed(patch: pytest.MonkeyPatch, **seconds: float) -> list[Any]:
    asked: list[Any] = []

    def measured(work: Any, numerics: Any, kernels: Any) -> dict[str, float]:
        asked.append(work)
        return {kernel: seconds[kernel] for kernel in kernels}

    patch.setattr(switches, "measure", measured)
    return asked


def test_another_kernel_must_be_clearly_faster() -> None:
    assert fastest({"products": 1.0, "torch": 0.9}) == "products"
    assert fastest({"products": 1.0, "torch": 0.7}) == "torch"
    assert fastest({"products": 1.0}) == "products"


def test_what_was_chosen_is_kept_with_the_run_and_with_the_machine(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = {"train": {"seq_length": 19}}
    with monkeypatch.context() as patch:
        asked = timed(patch, products=2.0, torch=1.0)
        run = make_run("one", **shape)
        interrupt_after(patch, 4)
        assert train(run) == 130
    assert [work.length for work in asked] == [19]
    assert Switches.of(run) == Switches("cpu", "torch", 6)
    numerics = json.loads((run.path / "provenance.json").read_text())["sessions"][-1]["numerics"]
    assert (numerics["attention"], numerics["compile"]) == ("torch", False)
    with monkeypatch.context() as patch:
        asked = timed(patch, products=1.0, torch=2.0)  # it would choose otherwise now
        assert train(run) == 0
        other = make_run("other", **shape)
        assert train(other) == 0
        assert asked == []
    assert Switches.of(other) == Switches.of(run)


def test_what_looks_at_a_run_computes_as_the_run_did(make_run: MakeRun, registry: Any) -> None:
    run = make_run()
    (run.path / "switches.json").write_text(
        '{"device": "cpu", "attention": "torch", "micro_batch_size": 6}'
    )
    training = set_up(run, registry, print)
    assert training.model.encoder.layers[0].attention.kernel == "torch"


def test_a_setting_decides_and_dropout_leaves_no_choice(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = timed(monkeypatch, products=2.0, torch=1.0)
    run = make_run("set", speed={"attention": "products"}, train={"seq_length": 18})
    dropout = make_run("dropout", encoder={"name": "toy", "dropout": 0.1})
    for one in (run, dropout):
        assert train(one) == 0
        found = Switches.of(one)
        assert found is not None
        assert found.attention == "products"
    assert asked == []


@pytest.mark.parametrize("kernel", ["flash", "efficient", "varlen"])
def test_a_kernel_that_is_not_here_is_one_sentence(
    make_run: MakeRun, train: Callable[[RunDirectory], int], kernel: str
) -> None:
    with pytest.raises(UserError, match=f"speed.attention = '{kernel}': on cpu there are products"):
        train(make_run(speed={"attention": kernel}))


def test_variable_lengths_need_bf16_and_no_dropout() -> None:
    work = Workload(2, 8, 24, 3, dropout=0.1)
    with pytest.raises(UserError, match="no attention dropout"):
        switches._require("varlen", work, Numerics(torch.device("cuda"), "bf16"))


def test_kernels_agree_and_every_one_of_them_is_timed() -> None:
    work = Workload(rows=3, length=9, hidden_size=24, heads=3, dropout=0.0)
    seconds = measure(work, Numerics(CPU, "fp32"), ("products", "torch"))
    assert list(seconds) == ["products", "torch"]
    assert all(found > 0 for found in seconds.values())


def test_bf16_that_is_slow_is_refused_though_the_chip_says_it_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "has_bf16", lambda _: True)
    monkeypatch.setattr(device, "bf16_time", lambda _: 40.0)
    assert "40 times as long" in (device.bf16_fault(CPU) or "")
    monkeypatch.setattr(device, "bf16_time", lambda _: 0.6)
    assert device.bf16_fault(CPU) is None


def test_what_the_user_says_of_the_allocator_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.os, "environ", {"PYTORCH_CUDA_ALLOC_CONF": "backend:native"})
    memory.let_segments_grow()
    assert {*memory.os.environ} == {"PYTORCH_CUDA_ALLOC_CONF"}
    monkeypatch.setattr(memory.os, "environ", {})
    monkeypatch.setattr(memory.platform, "system", lambda: "Windows")
    memory.let_segments_grow()
    assert memory.os.environ == {}
    monkeypatch.setattr(memory.platform, "system", lambda: "Linux")
    memory.let_segments_grow()
    assert memory.os.environ == {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}


SHAPE = ModelShape(
    vocab_size=50,
    hidden_size=24,
    num_hidden_layers=1,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=64,
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of itself
def test_compiled_layers_compute_the_same() -> None:
    """Traced, cut round attention and run by torch's own kernels: the last step of compiling,
    which takes a minute, is left to the GPU's tests.
    """
    real = torch.arange(16) < torch.tensor([16, 9, 3, 12])[:, None]
    embedded = torch.randn(4, 16, 24, generator=torch.Generator().manual_seed(0))
    found = []
    for compiled in (False, True):
        encoder = BertEncoder(SHAPE, 0.1, 0.1)
        initialise(encoder, seed=1, std=0.3)
        encoder.leaves_out_unread = False
        names = list(encoder.state_dict())
        if compiled:
            compile_layers(encoder, CPU, backend="aot_eager")
        assert list(encoder.state_dict()) == names
        torch.manual_seed(0)
        hidden = encoder(embedded, Attention(real))[real]
        hidden.square().mean().backward()
        found.append([hidden.detach(), *(p.grad for p in encoder.parameters())])
    for plain, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_size_of_a_batch_is_compiled() -> None:
    """Torch would give up after eight, and compute the others otherwise than the first."""
    graphs: list[int] = []

    def count(graph: torch.fx.GraphModule, inputs: object) -> object:
        graphs.append(1)
        return graph.forward

    encoder = BertEncoder(SHAPE.model_copy(update={"num_hidden_layers": 2}), 0.0, 0.0)
    compile_layers(encoder, CPU, backend=count)
    encoder.leaves_out_unread = True  # as on a GPU
    found = []
    for width in range(4, 20):
        graphs.clear()
        encoder.forward_at(torch.randn(2, width, 24), Attention(None), torch.tensor([0, width]))
        found.append(len(graphs))
    assert found[0] > 0
    assert found == found[:1] * len(found)


def test_an_encoder_without_layers_cannot_be_compiled() -> None:
    with pytest.raises(UserError, match="speed.compile"):
        compile_layers(torch.nn.Linear(2, 2), CPU)
