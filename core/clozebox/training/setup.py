"""From a run directory to everything the loop needs, built in the order in which it flows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from clozebox.config import arm_of
from clozebox.config.settings import Arm
from clozebox.data import Examples, TokenStore, make_examples, prepare
from clozebox.evaluation import HeldOut
from clozebox.pretraining import Batch, MaskingStrategy, PretrainingModel
from clozebox.training.budget import StepCost, survey
from clozebox.training.device import Numerics, numerics_of
from clozebox.training.optimizer import GuardedAdamW
from clozebox.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from clozebox.registry import Registry

SURVEYED_BATCHES = 8


@dataclass(frozen=True, eq=False)
class Training:
    """A run, ready to step."""

    run: RunDirectory
    arm: Arm
    seed: int
    store: TokenStore
    examples: Examples[Any]
    masking: MaskingStrategy | None
    held_out: HeldOut
    model: PretrainingModel
    optimizer: GuardedAdamW
    numerics: Numerics

    def batches(self, step: int) -> list[Batch]:
        """The micro-batches of optimizer step ``step``, counted from 0: a function of the step."""
        size = self.arm.train.batch_size
        cut = min(self.arm.speed.micro_batch_size or size, size)
        first, end = step * size, (step + 1) * size
        return [
            _batch(self, start, min(cut, end - start), self.numerics.device)
            for start in range(first, end, cut)
        ]


def set_up(run: RunDirectory, registry: Registry, say: Callable[[str], None]) -> Training:
    """Prepare the tokens, and build the model.

    Raises:
        UserError: anything in the settings, the corpus or the machine that cannot work.
    """
    resolved = run.resolved()
    arm, seed = arm_of(resolved["arm"], resolved["settings"], registry), int(resolved["seed"])
    numerics = numerics_of(arm.speed, arm.train.precision)
    store = prepare(arm.data.corpus, arm.data.tokenizer, Path(resolved["cache"]), say=say)
    split = store.split(arm.train.held_out)
    examples = make_examples(
        arm.examples,
        store,
        split.train,
        seq_length=arm.train.seq_length,
        short_seq_prob=arm.train.short_seq_prob,
        seed=seed,
    )
    masking = None if arm.masking is None else arm.masking.build(store.vocabulary)
    held_out = HeldOut(
        store,
        split.held_out,
        arm.train.seq_length,
        arm.train.batch_size,
        masking,
        numerics,
        arm.examples,
    )
    held_out.cut()
    model = PretrainingModel.initialised(arm, store.vocabulary, seed).to(numerics.device)
    return Training(
        run=run,
        arm=arm,
        seed=seed,
        store=store,
        examples=examples,
        masking=masking,
        held_out=held_out,
        model=model,
        optimizer=GuardedAdamW(model, arm.optim),
        numerics=numerics,
    )


def survey_costs(training: Training) -> StepCost:
    """What a step of this run costs, from the first of its own batches."""
    size = training.arm.train.batch_size
    batches = [
        _batch(training, step * size, size, torch.device("cpu")) for step in range(SURVEYED_BATCHES)
    ]
    return survey(training.model, batches, training.arm)


def _batch(training: Training, first: int, count: int, device: torch.device) -> Batch:
    return Batch.of(
        training.examples.rows(first, count),
        training.store.vocabulary,
        training.masking,
        seed=training.seed,
        first=first,
        device=device,
    )
