"""The interface of a kind of task: from examples to features, from logits to scores.

B sequences, T tokens, K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from clozebox.evaluation.finetuning.encoding import Feature, Tokens
from clozebox.evaluation.finetuning.examples import Dataset
from clozebox.evaluation.finetuning.heads import Head, SequenceHead
from clozebox.evaluation.finetuning.settings import FineTuningSettings
from clozebox.pretraining import IGNORE_INDEX

Logits = Sequence[NDArray[np.float32]]
"""Of each feature, without padding."""


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (B, K) or (B, K, T), targets (B,) or (B, T) -> the mean over what is labelled."""
    return F.cross_entropy(logits, targets, ignore_index=IGNORE_INDEX)


class Kind(ABC):
    """What is asked of a sequence, and how answers are scored."""

    head: ClassVar[type[Head]] = SequenceHead
    loss: Callable[[Tensor, Tensor], Tensor] = staticmethod(cross_entropy)
    """Logits and targets of a batch -> the mean loss."""

    def __init__(self, dataset: Dataset, settings: FineTuningSettings) -> None:
        self.dataset = dataset
        self.settings = settings
        self.outputs = len(dataset.labels)
        """Numbers that the head gives for a sequence, or for a token of it."""

    @abstractmethod
    def encode(self, examples: Sequence[Any], tokens: Tokens) -> list[Feature]:
        """Examples -> features, those of one example in a row."""

    @abstractmethod
    def predict(self, logits: Logits, features: Sequence[Feature]) -> list[Any]:
        """Logits of all features of a split -> one prediction for each example."""

    @abstractmethod
    def score(self, predictions: Sequence[Any], examples: Sequence[Any]) -> dict[str, float]:
        """Predictions against the truth: every metric of this kind."""

    @abstractmethod
    def constant(self, examples: Sequence[Any]) -> list[Any]:
        """What one predicts who has seen the training labels, and reads nothing."""
