"""Memory runs out at the start, in the middle of a step, on a resume: the update is the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.core.training.outcome import final, interrupt_after

import clozebox.training.loop as loop
import clozebox.training.micro_batch as micro_batch
from clozebox.errors import UserError
from clozebox.training import RunDirectory
from clozebox.training.console import Console
from clozebox.training.distributed import World
from clozebox.training.micro_batch import find_size, fitted, is_out_of_memory
from clozebox.training.run import run_training
from clozebox.training.setup import Training, set_up

MakeRun = Callable[..., RunDirectory]
AUTO: dict[str, Any] = {"speed": {"micro_batch_size": "auto"}}


@pytest.fixture
def ready(make_run: MakeRun, registry: Any) -> Callable[..., Training]:
    def make(name: str = "run", **changes: Any) -> Training:
        return set_up(make_run(name, **{**AUTO, **changes}), registry, Console().say)

    return make


@pytest.fixture
def train(registry: Any) -> Callable[[RunDirectory], int]:
    return lambda run: run_training(run, registry, Console())


class Memory:
    """Holds ``most`` sequences: a forward pass of more fails, as torch says it, and half-way."""

    def __init__(
        self, patch: pytest.MonkeyPatch, most: int, error: Exception | None = None
    ) -> None:
        self.most, self.shapes = most, list[tuple[int, ...]]()
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        from clozebox.pretraining import PretrainingModel

        encode = PretrainingModel.encode

        def limited(model: Any, view: Any, *read: Any) -> torch.Tensor:
            hidden = encode(model, view, *read)
            if model.training:
                self.shapes.append(tuple(view.input_ids.shape))
                self.real = bool(view.attention.mask is None or view.attention.mask.all())
                if len(view.input_ids) > self.most:
                    hidden.sum().backward()  # leaves gradients that must not be used
                    raise self.error
            return hidden

        patch.setattr(PretrainingModel, "encode", limited)


@pytest.mark.parametrize(("most", "size"), [(6, 6), (5, 3), (3, 3), (2, 2), (1, 1)])
def test_the_largest_that_fits_is_found(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch, most: int, size: int
) -> None:
    training = ready(objectives=["hidden", "pair"])
    before = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    memory = Memory(monkeypatch, most)
    assert find_size(training) == size
    assert {shape[1] for shape in memory.shapes} == {training.arm.train.seq_length}
    assert memory.real, "tried without padding, which could be left out"
    assert all(torch.equal(p, before[name]) for name, p in training.model.named_parameters())
    assert all(p.grad is None for p in training.model.parameters())
    assert not training.optimizer.state


def test_nothing_fits_is_one_sentence(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    Memory(monkeypatch, 0)
    with pytest.raises(UserError, match="not even one sequence"):
        find_size(ready())


def test_every_phase_is_tried(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    phases = [{"share": 0.5, "objectives": ["hidden"]}, {"share": 0.5, "objectives": ["ahead"]}]
    training = ready(objectives=["hidden", "ahead"], phase=phases)
    seen: list[list[str]] = []
    original = micro_batch._forward_and_backward

    def told(training: Training, objectives: Any, batch: Any) -> None:
        seen.append([one.name for one in objectives])
        original(training, objectives, batch)

    monkeypatch.setattr(micro_batch, "_forward_and_backward", told)
    find_size(training)
    assert seen == [["hidden"], ["ahead"]]


def test_a_trial_leaves_buffers_as_they_were(ready: Callable[..., Training]) -> None:
    training = ready()
    model = training.model
    model.register_buffer("seen", torch.zeros(()))

    def count(*_: Any) -> None:
        model.seen += 1

    model.embedding.register_forward_hook(count)
    find_size(training)
    assert model.seen.item() == 0


def runs_out_once(monkeypatch: pytest.MonkeyPatch, at: int, size: int) -> None:
    """In the last micro-batch of step ``at`` of more than ``size`` sequences at once."""
    original, taken = loop.train_step, [0]

    def step(training: Training, objectives: Any, micro_batches: Any) -> Any:
        taken[0] += 1
        if taken[0] > at and len(micro_batches[0].input_ids) > size:
            hidden = training.model.encode(micro_batches[0].masked)
            hidden.sum().backward()
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(training, objectives, micro_batches)

    monkeypatch.setattr(loop, "train_step", step)


def test_a_step_that_runs_out_of_memory_is_taken_again_in_smaller_pieces(
    make_run: MakeRun,
    train: Callable[[RunDirectory], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = make_run("plain")
    assert train(plain) == 0
    run = make_run("short", **AUTO)
    with monkeypatch.context() as patch:
        runs_out_once(patch, at=4, size=2)
        assert train(run) == 0
    ours, wanted = final(run), final(plain)
    assert max((ours[name] - wanted[name]).abs().max().item() for name in wanted) < 2e-6
    out = capsys.readouterr().out
    assert "micro-batches of 6 sequences" in out
    assert "from here on micro-batches of 3" in out
    assert "from here on micro-batches of 2" in out
    assert json.loads((run.path / "switches.json").read_text())["micro_batch_size"] == 2


def test_a_redone_step_draws_its_random_numbers_anew(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout: the bits are those of a run that had the smaller size from the start."""
    dropout = {"encoder": {"name": "toy", "dropout": 0.1}}
    small = make_run("small", speed={"micro_batch_size": 3}, **dropout)
    assert train(small) == 0
    run = make_run("short", **AUTO, **dropout)
    with monkeypatch.context() as patch:
        runs_out_once(patch, at=0, size=3)
        assert train(run) == 0
    ours, wanted = final(run), final(small)
    assert all(torch.equal(ours[name], wanted[name]) for name in wanted)


def test_what_was_found_is_used_on_resume_and_not_looked_for_again(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(**AUTO)
    with monkeypatch.context() as patch:
        Memory(patch, 3)
        interrupt_after(patch, 4)
        assert train(run) == 130
    provenance = json.loads((run.path / "provenance.json").read_text())
    assert provenance["sessions"][-1]["numerics"]["micro_batch_size"] == 3
    with monkeypatch.context() as patch:
        memory = Memory(patch, 6)
        assert train(run) == 0
    assert {shape[0] for shape in memory.shapes} == {3}


def test_a_number_that_was_set_is_kept_to(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(speed={"micro_batch_size": 6})
    runs_out_once(monkeypatch, at=2, size=3)
    assert train(run) == 1
    status = run.status()
    assert status is not None
    assert "a smaller speed.micro_batch_size" in status["reason"]


def test_other_errors_and_what_others_wait_for_are_not_tried_again(
    ready: Callable[..., Training],
) -> None:
    def fails(error: Exception, updates: int = 0) -> Callable[[], None]:
        def step() -> None:
            training.optimizer.updates += updates
            raise error

        return step

    training = ready()
    shortage = torch.OutOfMemoryError("CUDA out of memory")
    for error, updates in ((ValueError("no"), 0), (shortage, 1)):  # an update had begun
        with pytest.raises(type(error)):
            fitted(training, fails(error, updates))
    assert training.micro_batch.size == 6
    object.__setattr__(training, "world", World(0, 2))
    with pytest.raises(torch.OutOfMemoryError):
        fitted(training, fails(shortage))


@pytest.mark.parametrize(
    ("error", "is_shortage"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
        (RuntimeError("shape mismatch"), False),
        (UserError("out of memory"), False),
    ],
)
def test_shortage_is_told_from_other_errors(error: Exception, is_shortage: bool) -> None:
    assert is_out_of_memory(error) == is_shortage
