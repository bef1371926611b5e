"""Save and resume: weights, optimizer and counters; no RNG state, because there is none to keep.

A folder is complete or absent: it is written under another name, its manifest last, everything is
synced, and only then is it renamed. Safetensors has no checksum, so the manifest has one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor, nn

from clozebox.errors import UserError
from clozebox.training.files import sync_folder, write_atomically
from clozebox.training.optimizer import GuardedAdamW
from clozebox.training.sharding import like, whole

FORMAT = 1


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: GuardedAdamW,
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write ``folder/step-<step>`` and prune all but the newest ``keep``.

    Raises:
        UserError: the disk refused; what was there before is still whole.
    """
    files = as_files(*gathered(model, optimizer), state)
    return write_checkpoint(folder / name_at(state["step"]), files, keep)


def name_at(step: int) -> str:
    """What the checkpoint of a step is called."""
    return f"step-{step:08d}"


def gathered(
    model: nn.Module, optimizer: GuardedAdamW
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights and moments; those of a model in parts are put together, by all ranks."""
    return _whole(_weights(model)), _whole(_moments(model, optimizer))


def as_files(
    weights: Mapping[str, Tensor], moments: Mapping[str, Tensor], state: Mapping[str, Any]
) -> dict[str, bytes]:
    """The files of a checkpoint, as of now: what is trained after that does not change them."""
    return {
        "model.safetensors": save(dict(weights)),
        "optimizer.safetensors": save(dict(moments)),
        "state.json": json.dumps(dict(state), indent=2, sort_keys=True).encode(),
    }


def write_checkpoint(target: Path, files: Mapping[str, bytes], keep: int) -> Path:
    """Write a checkpoint, and prune all but the newest ``keep`` of its folder.

    Raises:
        UserError: the disk refused; what was there before is still whole.
    """
    folder = target.parent
    temporary = folder / f".tmp-{target.name}-{os.getpid()}"
    manifest = {
        "format": FORMAT,
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, data in files.items():
            write_atomically(temporary / name, data)
        write_atomically(temporary / "manifest.json", json.dumps(manifest, indent=2).encode())
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(f"cannot write the checkpoint {target}: {error}") from error
    _prune(folder, keep)
    return target


def newest_checkpoint(folder: Path, say: Callable[[str], None] = lambda _: None) -> Path | None:
    """The newest whole checkpoint; damaged ones are named through ``say`` and passed over."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        fault = damage(path)
        if fault is None:
            return path
        say(f"passing over a damaged checkpoint: {fault}")
    return None


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, or None: every file is there, whole and unchanged."""
    try:
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        if manifest["format"] != FORMAT:
            return f"{checkpoint} has format {manifest['format']}; this version reads {FORMAT}"
        for name, expected in manifest["files"].items():
            data = (checkpoint / name).read_bytes()
            if len(data) != expected["bytes"]:
                return f"{checkpoint / name} has {len(data)} bytes, not {expected['bytes']}"
            if hashlib.sha256(data).hexdigest() != expected["sha256"]:
                return f"{checkpoint / name} was altered: its SHA-256 differs"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{checkpoint}: {error}"
    return None


def load_state(checkpoint: Path) -> dict[str, Any]:
    """Counters and identity of a checkpoint."""
    return dict(json.loads((checkpoint / "state.json").read_text()))


def load_weights(checkpoint: Path, model: nn.Module) -> None:
    """Fill ``model``; every name and shape must agree.

    Raises:
        UserError: the checkpoint is of another model.
    """
    held = load_file(checkpoint / "model.safetensors")
    wanted = _weights(model)
    strange = sorted({*held} ^ {*wanted})
    strange += [n for n in {*held} & {*wanted} if held[n].shape != wanted[n].shape]
    if strange:
        raise UserError(f"{checkpoint} is of another model: they differ in {', '.join(strange)}")
    for name, tensor in wanted.items():
        tensor.data.copy_(like(held[name], tensor))


def load_optimizer(checkpoint: Path, model: nn.Module, optimizer: GuardedAdamW) -> None:
    """Fill the optimizer's moments, which are kept by parameter name."""
    held = load_file(checkpoint / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        fields = [key for key in held if key.endswith(f"/{name}")]
        optimizer.state[parameter] = {
            # The fused kernel keeps its step count on the parameter's device.
            key.split("/", 1)[0]: like(held[key], parameter)
            for key in fields
        }


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters under their first name (tied ones once), and the buffers that persist."""
    found = {name: p.detach() for name, p in model.named_parameters()}
    persistent = model.state_dict(keep_vars=True)
    found |= {name: b for name, b in model.named_buffers() if name in persistent}
    return found


def _moments(model: nn.Module, optimizer: GuardedAdamW) -> dict[str, Tensor]:
    return {
        f"{field}/{name}": value
        for name, parameter in model.named_parameters()
        for field, value in optimizer.state.get(parameter, {}).items()
    }


def _whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: whole(tensor).contiguous() for name, tensor in tensors.items()}


def _prune(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep``, and what dead processes left unfinished."""
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    for unfinished in folder.glob(".tmp-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
