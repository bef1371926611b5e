"""Taking a run up again where its newest whole checkpoint left it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from clozebox.data import TokenStore
from clozebox.errors import UserError
from clozebox.training.budget import Spent
from clozebox.training.checkpoint import (
    as_files,
    gathered,
    load_optimizer,
    load_state,
    load_weights,
    name_at,
    newest_checkpoint,
)
from clozebox.training.checkpoint_writer import CheckpointWriter
from clozebox.training.meter import Meter
from clozebox.training.run_directory import RunDirectory
from clozebox.training.setup import Training


def save(training: Training, spent: Spent, meter: Meter, writer: CheckpointWriter) -> None:
    """Everything that is not a function of the step, and what it must be resumed with.

    Of several ranks, each of which has it all, one writes.
    """
    if training.parts is None and not training.world.is_main:
        return
    state: dict[str, Any] = {
        **asdict(spent),
        "meter": meter.settled,
        "tokens_read": training.store.fingerprint,
    }
    weights, moments = gathered(training.model, training.optimizer)
    if training.world.is_main:
        target = training.run.checkpoints / name_at(spent.step)
        files = partial(as_files, weights, moments, state)
        writer.write(target, files, training.arm.train.keep_checkpoints)


def restore(training: Training, say: Callable[[str], None]) -> tuple[Spent, Meter]:
    """Fill the model and the optimizer from the newest whole checkpoint, if there is one.

    Raises:
        UserError: the corpus or the tokenizer is no longer what the run began with.
    """
    checkpoint = _common_checkpoint(training, say)
    if checkpoint is None:
        return Spent(), Meter()
    state = load_state(checkpoint)
    require_same_tokens(training.run, state, training.store)
    load_weights(checkpoint, training.model)
    load_optimizer(checkpoint, training.model, training.optimizer)
    say(f"resuming from {checkpoint.name}")
    spent = Spent(state["step"], state["tokens"], state["flops"], state["seconds"])
    return spent, Meter(state["meter"])


def _common_checkpoint(training: Training, say: Callable[[str], None]) -> Path | None:
    """The one that rank 0 takes: on a network's file system another may not see it yet."""
    folder, world = training.run.checkpoints, training.world
    found = newest_checkpoint(folder, say) if world.is_main else None
    name = world.from_main(None if found is None else found.name)
    return None if name is None else folder / name


def load_trained(training: Training, say: Callable[[str], None]) -> int:
    """Fill the model with the newest whole weights, for use and not for training; returns the step.

    Raises:
        UserError: the run has no whole checkpoint, or its text is no longer what it was.
    """
    checkpoint = newest_checkpoint(training.run.checkpoints, say)
    if checkpoint is None:
        raise UserError(f"{training.run.path} has no checkpoint yet; train it first")
    state = load_state(checkpoint)
    require_same_tokens(training.run, state, training.store)
    load_weights(checkpoint, training.model)
    training.model.eval()
    return int(state["step"])


def require_same_tokens(run: RunDirectory, state: Mapping[str, Any], store: TokenStore) -> None:
    """Other tokens mean other ids, and another split into training and held-out documents.

    Raises:
        UserError: the corpus or the tokenizer is not what the checkpoint was trained on.
    """
    if state["tokens_read"] != store.fingerprint:
        raise UserError(
            f"{run.path} was trained on other text: its tokens were {state['tokens_read']}, now "
            f"they are {store.fingerprint}; put the corpus back, or start a new run"
        )
