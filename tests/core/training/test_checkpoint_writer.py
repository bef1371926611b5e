"""A checkpoint that is written while training goes on is of the moment at which it was taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.core.training.outcome import interrupt_after
from tests.core.training.test_checkpoint import a_model

from clozebox.errors import UserError
from clozebox.registry import Registry
from clozebox.training import checkpoint_writer, loop
from clozebox.training.checkpoint import (
    as_files,
    gathered,
    load_weights,
    newest_checkpoint,
    write_checkpoint,
)
from clozebox.training.checkpoint_writer import CheckpointWriter
from clozebox.training.console import Console
from clozebox.training.run import run_training
from clozebox.training.step import train_step


@pytest.fixture
def held_back(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The disk takes nothing before this is set."""
    go = threading.Event()

    def slowly(*given: Any) -> Path:
        assert go.wait(60)
        return write_checkpoint(*given)

    monkeypatch.setattr(checkpoint_writer, "write_checkpoint", slowly)
    return go


def test_what_is_trained_meanwhile_is_not_in_it(tmp_path: Path, held_back: threading.Event) -> None:
    model, optimizer = a_model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    writer = CheckpointWriter(print)
    files = partial(as_files, *gathered(model, optimizer), {"step": 1})
    writer.write(tmp_path / "step-00000001", files, keep=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert newest_checkpoint(tmp_path) is None, "training did not wait for it"
    held_back.set()
    writer.wait()
    saved = newest_checkpoint(tmp_path)
    assert saved is not None
    load_weights(saved, model)
    for parameter, was in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, was)


def test_they_are_written_in_order_one_at_a_time(tmp_path: Path) -> None:
    model, optimizer = a_model()
    with closing(CheckpointWriter(print)) as writer:
        for step in range(1, 6):
            files = partial(as_files, *gathered(model, optimizer), {"step": step})
            writer.write(tmp_path / f"step-{step:08d}", files, keep=2)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["step-00000004", "step-00000005"]


def test_a_disk_that_was_full_for_a_while_costs_no_run(
    make_run: Callable[..., Any], registry: Registry, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    run = make_run(budget={"steps": 12}, train={"checkpoint_every": 4})
    refuse(monkeypatch, {4, 8})
    assert run_training(run, registry, Console()) == 0
    assert "no room for step 8; going on" in capfd.readouterr().out
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000012"]


def test_a_run_whose_last_step_cannot_be_kept_is_not_done(
    make_run: Callable[..., Any], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(budget={"steps": 12}, train={"checkpoint_every": 4})
    refuse(monkeypatch, {12})
    with pytest.raises(UserError, match="no room for step 12"):
        run_training(run, registry, Console())
    status = run.status()
    assert status is not None
    assert (status["state"], status["result"]) == ("failed", None)
    newest = newest_checkpoint(run.checkpoints)
    assert newest is not None
    assert newest.name == "step-00000008"


def test_nothing_is_written_any_more_when_a_run_has_ended(
    make_run: Callable[..., Any],
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    held_back: threading.Event,
) -> None:
    """It breaks in its seventh step, while the checkpoint of the fourth waits for the disk."""
    run = make_run(budget={"steps": 12}, train={"checkpoint_every": 4})
    steps = iter(range(1, 13))

    def breaks(*given: Any) -> Any:
        if next(steps) == 7:
            threading.Timer(0.3, held_back.set).start()
            raise RuntimeError("a step that breaks")
        return train_step(*given)

    monkeypatch.setattr(loop, "train_step", breaks)
    assert run_training(run, registry, Console()) == 1
    newest = newest_checkpoint(run.checkpoints)
    assert newest is not None
    assert newest.name == "step-00000004"
    assert not any(one.name.startswith("checkpoint") for one in threading.enumerate())


def refuse(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """The disk has no room for the checkpoints of these steps."""

    def write(target: Path, *rest: Any) -> Path:
        step = int(target.name.removeprefix("step-"))
        if step in steps:
            raise UserError(f"there is no room for step {step}")
        return write_checkpoint(target, *rest)

    monkeypatch.setattr(checkpoint_writer, "write_checkpoint", write)


def test_a_run_goes_on_while_it_is_written_and_ends_only_when_it_is(
    make_run: Callable[..., Any], registry: Registry, held_back: threading.Event
) -> None:
    run = make_run(budget={"steps": 12}, train={"checkpoint_every": 4})
    seen: list[int] = []

    def watch() -> None:
        while not any(line["step"] >= 6 for line in run.metrics()):
            time.sleep(0.01)
        seen.append(len(list(run.checkpoints.glob("step-*"))))
        held_back.set()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    assert run_training(run, registry, Console()) == 0
    watching.join(60)
    assert seen == [0], "nothing was on the disk when training was beyond it"
    newest = newest_checkpoint(run.checkpoints)
    assert newest is not None
    assert newest.name == "step-00000012"


def test_a_stop_whose_step_cannot_be_kept_is_not_called_saved(
    make_run: Callable[..., Any], registry: Registry, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    run = make_run(budget={"steps": 12}, train={"checkpoint_every": 4})
    refuse(monkeypatch, {5})
    interrupt_after(monkeypatch, 5)
    with pytest.raises(UserError, match="no room for step 5"):
        run_training(run, registry, Console())
    assert "saved at step" not in capfd.readouterr().out
    newest = newest_checkpoint(run.checkpoints)
    assert newest is not None
    assert newest.name == "step-00000004"
