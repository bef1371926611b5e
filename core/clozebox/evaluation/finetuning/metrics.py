"""Scores of predictions against the truth; each agrees with scikit-learn or SciPy to 1e-9."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int64]
Values = NDArray[np.float64]
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def accuracy(truth: Classes, predicted: Classes) -> float:
    """The share of hits: (n,), (n,) -> 0 to 1."""
    return float(np.mean(truth == predicted))


def f1(truth: Classes, predicted: Classes) -> float:
    """Of the class 1 of two."""
    return _f1(truth == 1, predicted == 1)


def macro_f1(truth: Classes, predicted: Classes) -> float:
    """The mean of the F1 of every class that occurs in the truth or among the predictions."""
    classes = np.union1d(truth, predicted)
    return float(np.mean([_f1(truth == one, predicted == one) for one in classes]))


def matthews_correlation(truth: Classes, predicted: Classes) -> float:
    """Matthews' coefficient for any number of classes (Gorodkin, 2004); 0 where it has none."""
    classes = np.union1d(truth, predicted)
    t = truth[:, None] == classes  # (n, K)
    p = predicted[:, None] == classes  # (n, K)
    return _correlation_of_sums(t.astype(np.float64), p.astype(np.float64))


def pearson_correlation(truth: Values, predicted: Values) -> float:
    """Pearson's r; 0 where one side is constant and it has no value."""
    return _correlation_of_sums(truth[:, None], predicted[:, None])


def spearman_correlation(truth: Values, predicted: Values) -> float:
    """Pearson's r of the ranks; equal values share the mean of theirs."""
    return pearson_correlation(_ranks(truth), _ranks(predicted))


def span_f1(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """F1 of whole spans with their kinds, over all sentences (Tjong Kim Sang and De Meulder, 2003).

    0 where there is no span on either side.
    """
    there = {(n, *span) for n, tags in enumerate(truth) for span in spans(tags)}
    found = {(n, *span) for n, tags in enumerate(predicted) for span in spans(tags)}
    both = len(there) + len(found)
    return 2 * len(there & found) / both if both else 0.0


def spans(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """BIO, BIOES or BILOU tags of a sentence -> (kind, first, end) of each span.

    Like CoNLL's own script: a span also begins where an I- has no span of its kind before it.
    """
    found: list[tuple[str, int, int]] = []
    kind, first = "", 0
    for place, tag in enumerate([*tags, "O"]):
        mark, _, of = tag.partition("-")
        goes_on = mark in ("I", "M", "E", "L") and of == kind
        if kind and not goes_on:
            found.append((kind, first, place))
            kind = ""
        if not kind and of:
            kind, first = of, place
        if kind and mark in ("E", "L", "S", "U"):
            found.append((kind, first, place + 1))
            kind = ""
    return found


def exact_match(golds: Sequence[Sequence[str]], answers: Sequence[str]) -> float:
    """The share of answers that are one of their gold answers, as SQuAD compares them."""
    return _mean_of_best(golds, answers, lambda gold, answer: float(gold == answer))


def answer_f1(golds: Sequence[Sequence[str]], answers: Sequence[str]) -> float:
    """The mean F1 of the words of an answer and of its best gold one (Rajpurkar et al., 2016)."""
    return _mean_of_best(golds, answers, _word_f1)


def normalised(answer: str) -> str:
    """Lower case, without punctuation, articles and superfluous blanks, as SQuAD's own script."""
    return " ".join(_ARTICLE.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def _mean_of_best(
    golds: Sequence[Sequence[str]], answers: Sequence[str], score: Callable[[str, str], float]
) -> float:
    """A question without gold answers has the empty one: it cannot be answered."""
    best = [
        max(score(normalised(one), normalised(answer)) for one in gold or ("",))
        for gold, answer in zip(golds, answers, strict=True)
    ]
    return float(np.mean(best))


def _word_f1(gold: str, answer: str) -> float:
    there, found = gold.split(), answer.split()
    if not there or not found:
        return float(there == found)
    shared = (Counter(there) & Counter(found)).total()
    return 2 * shared / (len(there) + len(found))


def _f1(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    both = int(truth.sum() + predicted.sum())
    return 2 * int((truth & predicted).sum()) / both if both else 0.0


def _ranks(values: Values) -> Values:
    """(n,) -> (n,), counted from 1."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: Values = (last - (counts - 1) / 2)[group]
    return means


def _correlation_of_sums(left: Values, right: Values) -> float:
    """The covariance of the columns of (n, K) and (n, K), summed, over that with themselves."""
    middles = left.mean(0), right.mean(0)
    left, right = left - middles[0], right - middles[1]
    spreads = [float(np.linalg.norm(side)) for side in (left, right)]
    for spread, middle in zip(spreads, middles, strict=True):
        # What is constant differs from its mean by rounding alone, whatever its unit.
        if spread <= 1e-13 * np.sqrt(len(left)) * float(np.linalg.norm(middle)):
            return 0.0
    return float((left * right).sum()) / (spreads[0] * spreads[1])
