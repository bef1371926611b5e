"""Taking a run up again where its newest whole checkpoint left it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from clozebox.errors import UserError
from clozebox.training.budget import Plan, Spent
from clozebox.training.checkpoint import (
    load_optimizer,
    load_state,
    load_weights,
    newest_checkpoint,
    save_checkpoint,
)
from clozebox.training.device import describe
from clozebox.training.meter import Meter
from clozebox.training.provenance import numerics_changed
from clozebox.training.setup import Training


def save(training: Training, plan: Plan, spent: Spent, meter: Meter) -> None:
    """Everything that is not a function of the step, and what it must be resumed with."""
    state: dict[str, Any] = {
        **asdict(spent),
        "plan": asdict(plan),
        "meter": meter.settled,
        "tokens_read": training.store.fingerprint,
        "numerics": describe(training.numerics),
        "rng": "a function of (seed, stream, step or example); nothing is kept",
    }
    save_checkpoint(
        training.run.checkpoints,
        training.model,
        training.optimizer,
        state,
        training.arm.train.keep_checkpoints,
    )


def restore(training: Training, say: Callable[[str], None]) -> tuple[Spent, Meter]:
    """Fill the model and the optimizer from the newest whole checkpoint, if there is one.

    Raises:
        UserError: the corpus or the tokenizer is no longer what the run began with.
    """
    checkpoint = newest_checkpoint(training.run.checkpoints, say)
    if checkpoint is None:
        return Spent(), Meter()
    state = load_state(checkpoint)
    if state["tokens_read"] != training.store.fingerprint:
        raise UserError(
            f"{training.run.path} began with other text: its tokens were {state['tokens_read']}, "
            f"now they are {training.store.fingerprint}; put the corpus back, or start a new run"
        )
    load_weights(checkpoint, training.model)
    load_optimizer(checkpoint, training.model, training.optimizer)
    changed = numerics_changed(state["numerics"], describe(training.numerics))
    say(f"resuming from {checkpoint.name}")
    if changed:
        say(f"not equal to the bit from here on: {', '.join(changed)}")
    spent = Spent(state["step"], state["tokens"], state["flops"], state["seconds"])
    return spent, Meter(state["meter"])


def load_trained(training: Training, say: Callable[[str], None]) -> int:
    """Fill the model with the newest whole weights, for use and not for training; returns the step.

    Raises:
        UserError: the run has no whole checkpoint.
    """
    checkpoint = newest_checkpoint(training.run.checkpoints, say)
    if checkpoint is None:
        raise UserError(f"{training.run.path} has no checkpoint yet; train it first")
    load_weights(checkpoint, training.model)
    training.model.eval()
    return int(load_state(checkpoint)["step"])
