"""What must hold of every evaluation task."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from clozebox.components import EvaluationTaskConfig, TokenObjectiveConfig
from clozebox.evaluation import HeldOut
from clozebox.pretraining import (
    Batch,
    ModelContext,
    Objective,
    PretrainingModel,
    TokenObjective,
    View,
    only_targets,
)
from clozebox.testing.bench import AS_BERT, LENGTH, Bench, BenchCorpus
from clozebox.testing.verdict import Property, Violation


class _Masked(TokenObjectiveConfig):
    name: ClassVar[str] = "masked"

    def build(self, context: ModelContext) -> Objective:
        class Masked(TokenObjective):
            def view(self, batch: Batch) -> View:
                return batch.masked

            def cloze(self, batch: Batch, chosen: torch.Tensor) -> View:
                return batch.hide(chosen)

        return Masked(self, context)


class _Causal(TokenObjectiveConfig):
    name: ClassVar[str] = "causal"

    def build(self, context: ModelContext) -> Objective:
        class Causal(TokenObjective):
            def view(self, batch: Batch) -> View:
                return batch.causal

            def cloze(self, batch: Batch, chosen: torch.Tensor) -> View:
                return only_targets(batch.causal, chosen, step=+1)

        return Causal(self, context)


class _Cpu:
    device = torch.device("cpu")
    precision = "fp32"

    def autocast(self) -> nullcontext[None]:
        return nullcontext()


@dataclass(frozen=True, eq=False)
class EvaluationCase:
    """A task, and models of two kinds to measure: one masked, one that reads from the left."""

    config: EvaluationTaskConfig
    seed: int

    @cached_property
    def bench(self) -> Bench:
        return Bench(self.seed)

    @cached_property
    def held_out(self) -> HeldOut:
        text = self.bench.text
        masking = AS_BERT.build(text)
        documents = text.documents[:12]
        corpus = BenchCorpus(seed=self.seed)
        return HeldOut(self.bench.store, documents, LENGTH, 8, masking, _Cpu(), "single", corpus)

    def models(self) -> Iterator[PretrainingModel]:
        for objective in (_Masked(), _Causal()):
            yield self.bench.model([objective]).float().eval()

    def measured(self, model: PretrainingModel) -> dict[str, float]:
        return self.config.build().evaluate(model, self.held_out)


def it_gives_named_numbers(case: EvaluationCase) -> None:
    for model in case.models():
        for name, value in case.measured(model).items():
            if not isinstance(value, float) or not math.isfinite(value):
                raise Violation(f"{name} is {value!r}; a finite float is due")


def it_changes_nothing(case: EvaluationCase) -> None:
    for model in case.models():
        before = {name: value.clone() for name, value in model.state_dict().items()}
        case.measured(model)
        for name, value in model.state_dict().items():
            if not torch.equal(value, before[name]):
                raise Violation(f"{name} is another after the evaluation")
        left = [name for name, p in model.named_parameters() if p.grad is not None]
        if left:
            raise Violation(f"it leaves gradients behind: {', '.join(left[:4])}")


def asked_again_it_says_the_same(case: EvaluationCase) -> None:
    for model in case.models():
        found = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            found.append(case.measured(model))
        if found[0] != found[1]:
            raise Violation(f"first {found[0]}, then {found[1]}, of one and the same model")


def equals_are_not_hits(case: EvaluationCase) -> None:
    for model in case.models():
        for parameter in model.parameters():
            parameter.data.zero_()  # every answer is now as likely as any other
        for name, value in case.measured(model).items():
            if "accuracy" in name and value == 1.0:
                raise Violation(f"{name} is 1 of a model that gives every answer the same score")


PROPERTIES: tuple[Property[EvaluationCase], ...] = (
    Property(
        "numbers",
        "every metric is a finite float, of a masked model and of a one-sided one",
        "a tensor that is not brought to the host, or a division by no examples; {} where a task "
        "does not apply",
        it_gives_named_numbers,
    ),
    Property(
        "no trace",
        "measuring changes nothing of the model",
        "training inside the task without a copy of the model, or gradients that are left on",
        it_changes_nothing,
    ),
    Property(
        "again",
        "one model gets one score",
        "examples or fills drawn from a global generator",
        asked_again_it_says_the_same,
    ),
    Property(
        "ties",
        "a model that gives every answer the same score is not always right",
        ">= in place of >, or argmax where the right answer comes first; count a tie as a half",
        equals_are_not_hits,
    ),
)
