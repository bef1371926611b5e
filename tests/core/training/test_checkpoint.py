"""A checkpoint is whole or absent, and what was altered is not loaded."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from clozebox.config.settings import Optim
from clozebox.errors import UserError
from clozebox.training.checkpoint import (
    damage,
    load_optimizer,
    load_state,
    load_weights,
    newest_checkpoint,
    save_checkpoint,
)
from clozebox.training.optimizer import GuardedAdamW


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 5)
        self.decoder = nn.Linear(5, 7)
        self.decoder.weight = self.table.weight


def a_model(seed: int = 0) -> tuple[Tied, GuardedAdamW]:
    torch.manual_seed(seed)
    model = Tied()
    optimizer = GuardedAdamW(model, Optim())
    model.decoder(model.table(torch.arange(6))).square().sum().backward()
    optimizer.step()
    return model, optimizer


def test_weights_moments_and_state_come_back_to_the_bit(tmp_path: Path) -> None:
    model, optimizer = a_model()
    saved = save_checkpoint(tmp_path, model, optimizer, {"step": 7, "tokens": 3}, keep=2)
    other, its_optimizer = a_model(seed=1)
    load_weights(saved, other)
    load_optimizer(saved, other, its_optimizer)
    assert load_state(saved) == {"step": 7, "tokens": 3}
    assert other.decoder.weight is other.table.weight
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        for field, value in optimizer.state[mine].items():
            assert torch.equal(value, its_optimizer.state[theirs][field])


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    model, optimizer = a_model()
    for step in (1, 2, 10, 9):
        save_checkpoint(tmp_path, model, optimizer, {"step": step}, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000009", "step-00000010"]


def test_a_damaged_checkpoint_is_named_and_passed_over(tmp_path: Path) -> None:
    model, optimizer = a_model()
    good = save_checkpoint(tmp_path, model, optimizer, {"step": 1}, keep=5)
    bad = save_checkpoint(tmp_path, model, optimizer, {"step": 2}, keep=5)
    (bad / "model.safetensors").unlink()
    said: list[str] = []
    assert newest_checkpoint(tmp_path, said.append) == good
    assert "step-00000002" in said[0]


def test_every_flipped_bit_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    model, optimizer = a_model()
    saved = save_checkpoint(tmp_path, model, optimizer, {"step": 1}, keep=2)
    draw = random.Random(5)
    for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
        whole = (saved / name).read_bytes()
        for _ in range(40):
            place, bit = draw.randrange(len(whole)), draw.randrange(8)
            (saved / name).write_bytes(
                whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
            )
            assert damage(saved), f"bit {bit} of byte {place} of {name}"
        for part in range(8):
            (saved / name).write_bytes(whole[: len(whole) * part // 8])
            assert damage(saved)
        (saved / name).write_bytes(whole)
    assert damage(saved) is None


CALLS = ("mkdir", "fsync", "replace", "rename", "rmdir", "unlink")


def test_a_kill_at_any_system_call_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    """Save step 2 over step 1 in a child that is killed at its Nth call, for every N."""
    model, optimizer = a_model()
    for number in range(1, 200):
        folder = tmp_path / str(number)
        save_checkpoint(folder, model, optimizer, {"step": 1}, keep=1)
        child = os.fork()
        if child == 0:
            _die_at(number)
            save_checkpoint(folder, model, optimizer, {"step": 2}, keep=1)
            os._exit(0)
        finished = os.waitpid(child, 0)[1] == 0
        found = newest_checkpoint(folder)
        assert found is not None, f"nothing whole after a kill at call {number}"
        if finished:
            assert found.name == "step-00000002"
            assert number > 8, "too few calls were intercepted for this test to mean anything"
            return
    raise AssertionError("the save never finished")


def _die_at(number: int) -> None:
    left = [number]
    for name in CALLS:
        original = getattr(os, name)

        def call(*args: object, original: object = original, **more: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **more)  # type: ignore[operator]

        setattr(os, name, call)


def test_a_full_disk_is_an_error_that_names_the_path_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizer = a_model()
    good = save_checkpoint(tmp_path, model, optimizer, {"step": 1}, keep=2)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="step-00000002.*No space left"):
        save_checkpoint(tmp_path, model, optimizer, {"step": 2}, keep=2)
    assert newest_checkpoint(tmp_path) == good
    assert not list(tmp_path.glob(".tmp-*"))


def test_weights_of_another_model_are_refused_with_the_names_that_differ(tmp_path: Path) -> None:
    model, optimizer = a_model()
    saved = save_checkpoint(tmp_path, model, optimizer, {"step": 1}, keep=2)
    with pytest.raises(UserError, match=r"decoder\.bias"):
        load_weights(saved, nn.Embedding(7, 5))
