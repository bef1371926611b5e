"""A task made ready for one tokenizer and one length of sequences."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clozebox.data import TokenStore
from clozebox.evaluation.finetuning.encoding import Feature, Tokens
from clozebox.evaluation.finetuning.examples import Dataset
from clozebox.evaluation.finetuning.kind import Kind, Logits
from clozebox.evaluation.finetuning.question_answering import QuestionAnswering
from clozebox.evaluation.finetuning.sequences import Classification, Regression
from clozebox.evaluation.finetuning.tagging import Tagging
from clozebox.evaluation.finetuning.task import Task

KINDS: Mapping[str, type[Kind]] = MappingProxyType(
    {
        "classification": Classification,
        "regression": Regression,
        "tagging": Tagging,
        "question_answering": QuestionAnswering,
    }
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A task, its examples, and how a run's tokenizer writes them."""

    task: Task
    dataset: Dataset
    kind: Kind
    tokens: Tokens
    features: Mapping[str, Sequence[Feature]]
    """Of each split."""

    @classmethod
    def of(cls, task: Task, dataset: Dataset, store: TokenStore, seq_length: int) -> Prepared:
        """Encode every split."""
        kind = KINDS[task.settings.kind](dataset, task.settings.finetuning)
        tokens = Tokens(store, seq_length)
        encoded = {name: kind.encode(some, tokens) for name, some in dataset.splits.items()}
        return cls(task, dataset, kind, tokens, encoded)

    def scores(self, split: str, logits: Logits) -> dict[str, float]:
        """Every metric of what a model gives for the features of a split."""
        predictions = self.kind.predict(logits, self.features[split])
        return self.kind.score(predictions, self.examples(split))

    def examples(self, split: str) -> Sequence[Any]:
        return self.dataset.splits[split]

    def sizes(self) -> dict[str, int]:
        """Examples in each split."""
        return {name: len(some) for name, some in self.dataset.splits.items()}

    def fingerprint(self) -> str:
        """SHA-256 of the examples as this tokenizer writes them, and of what is asked of them."""
        settings = self.task.settings.model_dump_json(exclude={"finetuning", "metric"})
        digest = hashlib.sha256(f"{settings}{self.dataset.fingerprint}".encode())
        digest.update(f"{self.tokens.seq_length}{self.tokens.tokenizer.to_str()}".encode())
        return digest.hexdigest()
