"""Whole sequences, single or in pairs: what class they are of, or what value they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from clozebox.evaluation.finetuning import metrics
from clozebox.evaluation.finetuning.encoding import Feature, Tokens
from clozebox.evaluation.finetuning.examples import Dataset, LabelledText
from clozebox.evaluation.finetuning.kind import Kind, Logits
from clozebox.evaluation.finetuning.settings import FineTuningSettings


class Classification(Kind):
    """One of K classes."""

    def encode(self, examples: Sequence[LabelledText], tokens: Tokens) -> list[Feature]:
        """A feature for each example, its target the class, ()."""
        return _encoded(examples, [np.array(one.label, np.int64) for one in examples], tokens)

    def predict(self, logits: Logits, features: Sequence[Feature]) -> list[int]:
        """The likeliest class of each."""
        return [int(one.argmax()) for one in logits]

    def score(
        self, predictions: Sequence[int], examples: Sequence[LabelledText]
    ) -> dict[str, float]:
        """Accuracy, macro F1, Matthews' correlation; of two classes, also F1 of the second."""
        truth, predicted = np.array([one.label for one in examples]), np.array(predictions)
        found = {
            "accuracy": metrics.accuracy(truth, predicted),
            "macro_f1": metrics.macro_f1(truth, predicted),
            "matthews_correlation": metrics.matthews_correlation(truth, predicted),
        }
        if len(self.dataset.labels) == 2:
            found["f1"] = metrics.f1(truth, predicted)
        return found

    def constant(self, examples: Sequence[LabelledText]) -> list[int]:
        """The class that is the most frequent in training."""
        counts = Counter(one.label for one in self.dataset.splits["train"])
        return [int(counts.most_common(1)[0][0])] * len(examples)


def _mean_square(logits: Tensor, targets: Tensor) -> Tensor:
    """(B, 1), (B,) -> ()."""
    return F.mse_loss(logits[:, 0], targets)


class Regression(Kind):
    """A value, learned in units of the training labels' own spread."""

    loss = staticmethod(_mean_square)

    def __init__(self, dataset: Dataset, settings: FineTuningSettings) -> None:
        super().__init__(dataset, settings)
        self.outputs = 1
        values = np.array([one.label for one in dataset.splits["train"]])
        self.mean, self.spread = float(values.mean()), float(values.std()) or 1.0

    def encode(self, examples: Sequence[LabelledText], tokens: Tokens) -> list[Feature]:
        """A feature for each example, its target the value, ()."""
        values = [(one.label - self.mean) / self.spread for one in examples]
        return _encoded(examples, [np.array(value, np.float32) for value in values], tokens)

    def predict(self, logits: Logits, features: Sequence[Feature]) -> list[float]:
        """The value of each, in its own units."""
        return [float(one[0]) * self.spread + self.mean for one in logits]

    def score(
        self, predictions: Sequence[float], examples: Sequence[LabelledText]
    ) -> dict[str, float]:
        """Pearson's and Spearman's correlation."""
        truth = np.array([one.label for one in examples], np.float64)
        predicted = np.array(predictions, np.float64)
        return {
            "pearson_correlation": metrics.pearson_correlation(truth, predicted),
            "spearman_correlation": metrics.spearman_correlation(truth, predicted),
        }

    def constant(self, examples: Sequence[LabelledText]) -> list[float]:
        """The mean of the training labels, which correlates with nothing."""
        return [self.mean] * len(examples)


def _encoded(
    examples: Sequence[LabelledText], targets: Sequence[np.ndarray], tokens: Tokens
) -> list[Feature]:
    first = tokens.ids([one.text for one in examples])
    second = tokens.ids([one.text_pair or "" for one in examples])
    return [
        Feature(*tokens.framed(first[n], None if one.text_pair is None else second[n]), target, n)
        for n, (one, target) in enumerate(zip(examples, targets, strict=True))
    ]
