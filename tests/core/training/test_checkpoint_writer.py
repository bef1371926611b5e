"""A checkpoint that is written while training goes on is of the moment at which it was taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.core.training.test_checkpoint import a_model

from clozebox.errors import UserError
from clozebox.registry import Registry
from clozebox.training import checkpoint_writer
from clozebox.training.checkpoint import (
    contents,
    load_weights,
    newest_checkpoint,
    write_checkpoint,
)
from clozebox.training.checkpoint_writer import CheckpointWriter
from clozebox.training.console import Console
from clozebox.training.run import run_training


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
    writer = CheckpointWriter()
    writer.write(tmp_path / "step-00000001", contents(model, optimizer, {"step": 1}), keep=2)
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
    writer = CheckpointWriter()
    for step in range(1, 6):
        files = contents(model, optimizer, {"step": step})
        writer.write(tmp_path / f"step-{step:08d}", files, keep=2)
    writer.wait()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["step-00000004", "step-00000005"]


def test_what_the_disk_refused_is_said_at_the_next_occasion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> Path:
        raise UserError("cannot write the checkpoint: No space left on device")

    monkeypatch.setattr(checkpoint_writer, "write_checkpoint", full)
    writer = CheckpointWriter()
    writer.write(tmp_path / "step-00000001", {}, keep=2)
    with pytest.raises(UserError, match="No space left"):
        writer.write(tmp_path / "step-00000002", {}, keep=2)
    writer.wait()


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
