"""What can be set, and what a file of settings becomes: an experiment of arms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from clozebox.components import (
    CorpusConfig,
    EmbeddingConfig,
    EncoderConfig,
    EvaluationTaskConfig,
    ExampleKind,
    MaskingConfig,
    ObjectiveConfig,
    ReporterConfig,
    Settings,
    SizePreset,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Choice = bool | int | float | str


class TokenizerSettings(Settings):
    """WordPiece (BERT's) or byte-level BPE, trained on the corpus or loaded from ``path``.

    A ``tokenizer.json`` says all of it itself, a ``vocab.txt`` all but ``lowercase``.
    """

    kind: Literal["wordpiece", "bpe"] = "wordpiece"
    vocab_size: Annotated[int, Field(ge=64, le=1_000_000)] = 8192
    lowercase: bool = True
    path: str | None = None


class Budget(Settings):
    """What every arm may spend; exactly one of the five."""

    steps: PositiveInt | None = None
    tokens: PositiveFloat | None = None
    predictions: PositiveFloat | None = None
    """Targets, of every term of every objective: what the arm is asked, and graded on."""
    flops: PositiveFloat | None = None
    seconds: PositiveFloat | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Budget:
        given = sorted(self.model_dump(exclude_none=True))
        if len(given) != 1:
            raise ValueError(
                "exactly one of steps, tokens, predictions, flops, seconds must be set "
                f"(got {given or 'none'})"
            )
        return self


class Train(Settings):
    """The loop: batch, sequence length, precision, and how often it looks up."""

    batch_size: PositiveInt = 32
    seq_length: Annotated[int, Field(ge=8, le=65_536)] = 128
    examples: Literal["auto", "single", "pair", "swapped_pair"] = "auto"
    short_seq_prob: Fraction = 0.1
    precision: Literal["fp32", "bf16"] = "fp32"
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    log_every: PositiveInt = 10
    evals: PositiveInt = 10
    """Evaluations, spread evenly over the budget; the last one is at its end."""
    checkpoint_every: PositiveInt = 200
    keep_checkpoints: Annotated[int, Field(ge=2)] = 2


class Optim(Settings):
    """AdamW with BERT's exclusions and a schedule over the share of the budget that is spent."""

    lr: PositiveFloat = 1e-3
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    eps: PositiveFloat = 1e-6
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: PositiveFloat = 1.0
    schedule: Literal["constant", "linear", "cosine", "wsd"] = "linear"
    warmup: Fraction = 0.1
    decay: Fraction = 0.2
    """Share of the budget over which `wsd` decays; the other schedules do not read it."""


class Speed(Settings):
    """What may change only the speed, never the result."""

    device: str = "auto"
    threads: PositiveInt | None = None
    micro_batch_size: PositiveInt | Literal["auto"] | None = None
    """Sequences that go through the model at once; `auto` finds the most that memory holds."""
    attention: Literal["auto", "products", "torch", "flash", "efficient", "varlen"] = "auto"
    """The kernel; `auto` times those that the device has. `clozebox doctor` shows them."""
    products: Literal["auto", "torch"] = "auto"
    """Of fp32 on a CPU: `auto` takes oneDNN's where they are exact, `torch` torch's usual ones."""
    compile: bool = False
    """Compile the layers of the encoder (torch.compile): for GPUs."""
    keep_memory: bool = True
    """On a CPU: do not give memory back between steps (glibc only)."""
    ranks: PositiveInt = 1
    """Processes that share a step, each on a GPU of its own where there are GPUs."""
    shard: bool = False
    """Each rank holds a share of every weight and moment: for what does not fit one GPU."""

    def micro_batch(self, batch_size: int) -> int:
        """Sequences at once, of a step of ``batch_size``: all of them where no number is set."""
        size = self.micro_batch_size
        return min(size, batch_size) if isinstance(size, int) else batch_size


class Phase(Settings):
    """`[[phase]]`: a part of the training in which some of the objectives are learned from."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Of the steps; of the time where the budget is one of seconds. The phases' sum is 1."""
    objectives: Annotated[tuple[str, ...], Field(min_length=1)]


class Phases(Settings):
    """Every `[[phase]]` of an arm."""

    phase: tuple[Phase, ...] = ()


class SearchSpace(Settings):
    """One dimension of `[sweep.space]`: a range, or a list of choices."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: PositiveFloat | None = None
    integer: bool = False
    choices: tuple[Choice, ...] | None = None
    when: dict[str, Choice | tuple[Choice, ...]] | None = None
    """Drawn only where these settings have this value, or one of these: the setting of a masking
    strategy where that strategy was drawn."""

    @model_validator(mode="after")
    def _range_or_choices(self) -> SearchSpace:
        if self.choices is not None and self.model_fields_set <= {"choices", "when"}:
            if not self.choices:
                raise ValueError("choices is empty")
        elif self.choices is None and self.low is not None and self.high is not None:
            self._check_range(self.low, self.high)
        else:
            raise ValueError("give either low and high (and log, step, integer), or choices")
        return self

    def _check_range(self, low: float, high: float) -> None:
        if low >= high:
            raise ValueError(f"low {low} is not below high {high}")
        if self.log and low <= 0:
            raise ValueError("a log range needs low > 0")
        if self.log and self.step is not None:
            raise ValueError("give either log or step, not both")
        if self.integer and any(end != int(end) for end in (low, high, self.step or 1)):
            raise ValueError("an integer range needs whole low, high and step")
        if self.step is not None and abs(math.remainder(high - low, self.step)) > 1e-6 * self.step:
            raise ValueError(f"high - low is not a multiple of step {self.step:g}")

    def values(self) -> tuple[Choice, ...]:
        """What a setting must accept to be searched: the ends of the range, or every choice."""
        if self.choices is not None:
            return self.choices
        ends = (self.low or 0.0, self.high or 0.0)
        return tuple(int(end) for end in ends) if self.integer else ends


class Plan(Settings):
    """`seeds`: each arm is run once with each of them, paired across arms."""

    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field(
        default=(0, 1, 2), min_length=1
    )
    factor: str | tuple[str, ...] = ()
    """The setting that the arms are there to compare: they may differ in nothing else."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"must be distinct (got {list(seeds)})")
        return seeds


class Sweep(Settings):
    """`[sweep]`: what is judged, and how Optuna searches when there is a space."""

    metric: str = "eval/cloze_loss"
    direction: Literal["minimize", "maximize"] = "minimize"
    hang_after: PositiveFloat = 3600.0
    """Seconds without a sign of life (a line, a metric, a checkpoint) after which a run is ended;
    ten times its longest silence until then, if that is more."""
    trials: PositiveInt = 20
    sampler: Literal["tpe", "random", "qmc", "gp", "grid", "brute_force"] = "tpe"
    pruner: Literal["none", "median", "patient_median", "halving", "hyperband"] = "median"
    against: Literal["flops", "tokens", "seconds"] | None = None
    """A cost to be kept low as well: what is searched for is the front of both."""
    fresh_seeds: Annotated[int, Field(ge=0, le=100)] = 3
    """Seeds that no trial has seen, on which the best trial of each arm is run again: the best of
    many is flattered by its own selection."""
    space: dict[str, SearchSpace] = Field(default_factory=dict)


@dataclass(frozen=True)
class ModelSettings:
    size: SizePreset
    embedding: EmbeddingConfig
    encoder: EncoderConfig


@dataclass(frozen=True)
class DataSettings:
    corpus: CorpusConfig
    tokenizer: TokenizerSettings


@dataclass(frozen=True)
class Arm:
    """One choice, fully resolved. An arm and a seed make a run."""

    name: str
    model: ModelSettings
    data: DataSettings
    masking: MaskingConfig | None
    objectives: tuple[ObjectiveConfig, ...]
    phases: tuple[Phase, ...]
    """In order; empty where every objective is learned from all the time."""
    evaluations: tuple[EvaluationTaskConfig, ...]
    reporters: tuple[ReporterConfig, ...]
    budget: Budget
    train: Train
    optim: Optim
    speed: Speed

    @property
    def examples(self) -> ExampleKind:
        """The kind of example the arm learns from: pairs as soon as one objective needs them."""
        if self.train.examples != "auto":
            return self.train.examples
        return next((o.example for o in self.objectives if o.example != "single"), "single")

    def objectives_at(self, progress: float) -> tuple[str, ...]:
        """Those that are learned from when ``progress`` (0 to 1) of the training is done."""
        done = 0.0
        for phase in self.phases[:-1]:
            done += phase.share
            if progress < done - 1e-9:
                return phase.objectives
        last = self.phases[-1:]
        return last[0].objectives if last else tuple(one.name for one in self.objectives)


@dataclass(frozen=True)
class Experiment:
    """One question: its arms, the first of which is the baseline, and the seeds of each."""

    name: str
    question: str
    path: Path
    given: str
    """The TOML as it was written."""
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    sweep: Sweep
    settings: dict[str, Any]
    """The merged tables that the arms start from."""
    factor: tuple[str, ...] = ()
    """The settings that the arms are there to compare; empty where none was declared."""
