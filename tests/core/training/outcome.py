"""What came of a run, to be compared with another; and how to stop one in its middle."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from clozebox.training import RunDirectory
from clozebox.training.checkpoint import newest_checkpoint


def final(run: RunDirectory) -> dict[str, torch.Tensor]:
    """Weights and moments of the last checkpoint: losses can agree where weights do not."""
    last = newest_checkpoint(run.checkpoints)
    assert last is not None
    return {**load_file(last / "model.safetensors"), **load_file(last / "optimizer.safetensors")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def told(run: RunDirectory) -> list[dict[str, Any]]:
    """metrics.jsonl without what a clock decides."""
    timed = {"seconds", "perf/tokens_per_second"}
    return [{k: v for k, v in line.items() if k not in timed} for line in run.metrics()]


def interrupt_after(patch: pytest.MonkeyPatch, steps: int) -> None:
    """Ctrl-C during step number ``steps`` of the process: the run saves after it and stops."""
    import clozebox.training.loop as loop

    original, taken = loop.train_step, [0]

    def step(*args: Any) -> Any:
        taken[0] += 1
        if taken[0] == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args)

    patch.setattr(loop, "train_step", step)
