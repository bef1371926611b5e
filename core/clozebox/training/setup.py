"""From an arm and a seed to everything the loop needs, built in the order in which it flows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clozebox.config import arm_of
from clozebox.config.settings import Arm
from clozebox.data import TokenStore, TrainingText, make_examples, prepare
from clozebox.evaluation import HeldOut
from clozebox.pretraining import Batch, MaskingStrategy, PretrainingModel
from clozebox.training.batches import Batches
from clozebox.training.budget import StepCost, cost_of_step
from clozebox.training.compilation import compile_layers
from clozebox.training.device import Numerics, numerics_of
from clozebox.training.distributed import ALONE, World
from clozebox.training.micro_batch import MicroBatch
from clozebox.training.optimizer import GuardedAdamW
from clozebox.training.run_directory import RunDirectory
from clozebox.training.sharding import Parts, shard
from clozebox.training.switches import apply_recorded

if TYPE_CHECKING:
    from clozebox.registry import Registry

SURVEYED_STEPS = 8
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Learner:
    """An arm and a seed: what is learned from, and by what model. Nothing of it is on disk."""

    arm: Arm
    seed: int
    store: TokenStore
    masking: MaskingStrategy | None
    stream: Batches
    model: PretrainingModel
    numerics: Numerics
    micro_batch: MicroBatch

    def batch(self, first: int, count: int, progress: float = 0.0) -> Batch:
        """Examples ``first .. first + count`` of training, on the device."""
        return self.stream.batch(first, count, progress)

    def batches(self, step: int, progress: float = 0.0, world: World = ALONE) -> list[Batch]:
        """The micro-batches of optimizer step ``step``, counted from 0: a function of the step.

        ``progress`` is the share of the budget that is spent by then. Of several ranks each has its
        part of the step.
        """
        size = self.arm.train.batch_size
        own = world.part(step * size, (step + 1) * size)
        cut = min(self.micro_batch.size, len(own))
        return [
            self.stream.batch(
                at, min(cut, own.stop - at), progress, None if world.size == 1 else own
            )
            for at in range(own.start, own.stop, cut)
        ]


@dataclass(frozen=True, eq=False)
class Training(Learner):
    """A run, ready to step."""

    run: RunDirectory
    held_out: HeldOut
    optimizer: GuardedAdamW
    world: World = ALONE
    parts: Parts | None = None
    """The model's, where each rank holds a share of them."""

    def within(self, work: Callable[[], T]) -> T:
        """Do what touches the model and is learned from, when all of its weights can be used."""
        return work() if self.parts is None else self.parts(work)

    def looking(self, work: Callable[[], T]) -> T:
        """The same for what is not learned from."""
        return work() if self.parts is None else self.parts.inspect(work)


def learner_of(
    arm: Arm,
    seed: int,
    cache: Path,
    numerics: Numerics,
    say: Callable[[str], None],
    on_host: bool = False,
) -> Learner:
    """Prepare the tokens, and build the model with its initial weights, ``on_host`` if so asked.

    Raises:
        UserError: anything in the settings or the corpus that cannot work.
    """
    store = prepare(arm.data.corpus, arm.data.tokenizer, cache, say=say)
    documents = store.split(arm.train.held_out).train
    examples = make_examples(
        arm.examples,
        store,
        documents,
        seq_length=arm.train.seq_length,
        short_seq_prob=arm.train.short_seq_prob,
        seed=seed,
    )
    masking = None if arm.masking is None else arm.masking.build(TrainingText(store, documents))
    model = PretrainingModel.initialised(arm, store.vocabulary, seed)
    if not on_host:
        model.to(numerics.device)
    stream = Batches(examples, store.vocabulary, masking, seed, numerics.device)
    speed = arm.speed
    size = speed.micro_batch(arm.train.batch_size)
    micro_batch = MicroBatch(size, adapts=speed.micro_batch_size == "auto")
    return Learner(arm, seed, store, masking, stream, model, numerics, micro_batch)


def set_up(
    run: RunDirectory, registry: Registry, say: Callable[[str], None], world: World = ALONE
) -> Training:
    """Prepare the tokens, and build the model and its optimizer.

    Raises:
        UserError: anything in the settings, the corpus or the machine that cannot work.
    """
    resolved = run.resolved()
    arm, seed = arm_of(resolved["arm"], resolved["settings"], registry), int(resolved["seed"])
    world.claim_device(arm.speed, arm.train.batch_size)
    numerics = numerics_of(arm.speed, arm.train.precision)
    shares = arm.speed.shard and world.size > 1
    learner = learner_of(arm, seed, Path(resolved["cache"]), numerics, say, on_host=shares)
    apply_recorded(run, learner.model, numerics.device)
    if arm.speed.compile:
        compile_layers(learner.model.encoder, numerics.device)
    parts = shard(learner.model, numerics.device, world.size) if shares else None
    held_out = HeldOut(
        learner.store,
        learner.store.split(arm.train.held_out).held_out,
        arm.train.seq_length,
        arm.train.batch_size,
        learner.masking,
        numerics,
        arm.examples,
        arm.data.corpus,
    )
    held_out.cut()
    return Training(
        **vars(learner),
        run=run,
        held_out=held_out,
        optimizer=GuardedAdamW(learner.model, arm.optim),
        world=world,
        parts=parts,
    )


def survey_costs(training: Learner) -> StepCost:
    """What an average step of this run costs, from the first of its own steps in each phase."""
    arm, model = training.arm, training.model
    costs, weights, begin = [], [], 0.0
    for share in [phase.share for phase in arm.phases] or [1.0]:
        objectives = model.named(arm.objectives_at(begin + share / 2))
        for step in range(SURVEYED_STEPS):
            # What changes over training is sampled all along the phase.
            progress = begin + share * (step + 0.5) / SURVEYED_STEPS
            costs.append(cost_of_step(model, objectives, training.batches(step, progress)))
            weights.append(share / SURVEYED_STEPS)
        begin += share
    return StepCost.average(costs, weights)
