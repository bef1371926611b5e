"""Extractive question answering: the answer is a span of the context, or there is none.

T tokens, C of them of the context.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from clozebox.evaluation.finetuning import metrics
from clozebox.evaluation.finetuning.encoding import Feature, Tokens
from clozebox.evaluation.finetuning.examples import Dataset, Question
from clozebox.evaluation.finetuning.heads import SpanHead
from clozebox.evaluation.finetuning.kind import Kind, Logits, cross_entropy
from clozebox.evaluation.finetuning.settings import FineTuningSettings

LONGEST_QUESTION = 64
"""Tokens, as in BERT's ``run_squad.py``."""
NOWHERE = (0, 0)
"""At [CLS]: the answer is not in this window."""


@dataclass(frozen=True, eq=False)
class Window(Feature):
    """A question and a part of its context."""

    first: int
    """The place of the first token of the context."""
    offsets: list[tuple[int, int]]
    """Of each token of the context, its characters in the whole context."""


def _both_ends(logits: Tensor, targets: Tensor) -> Tensor:
    """(B, 2, T), (B, 2) -> the mean of the loss at the start and the loss at the end."""
    return cross_entropy(logits.transpose(1, 2), targets)


class QuestionAnswering(Kind):
    """Start and end of the answer, looked for in overlapping windows of the context."""

    head = SpanHead
    loss = staticmethod(_both_ends)

    def __init__(self, dataset: Dataset, settings: FineTuningSettings) -> None:
        super().__init__(dataset, settings)
        self.outputs = 2
        self.may_refuse = any(not one.answers for one in dataset.splits["train"])
        """Whether it learns from questions that cannot be answered."""

    def encode(self, examples: Sequence[Question], tokens: Tokens) -> list[Feature]:
        """Windows, each with the start and the end of the first answer as its target, (2,)."""
        questions = tokens.ids([one.question for one in examples])
        contexts = tokens.tokenizer.encode_batch(
            [one.context for one in examples], add_special_tokens=False
        )
        features: list[Feature] = []
        for number, one in enumerate(examples):
            # The context gets at least half of the sequence.
            question = questions[number][: min(LONGEST_QUESTION, tokens.seq_length // 2 - 3)]
            ids, offsets = contexts[number].ids, contexts[number].offsets
            room = tokens.seq_length - len(question) - 3
            span = _tokens_of_answer(one, offsets)
            for begin, end in _windows(len(ids), room, self._stride(room)):
                framed = tokens.framed(question, ids[begin:end])
                first = len(question) + 2
                target = _within(span, begin, end, first)
                features.append(Window(*framed, target, number, first, offsets[begin:end]))
        return features

    def _stride(self, room: int) -> int:
        """Tokens to the next window, where each has ``room`` for that many of the context.

        Fewer than are asked for where windows are short: an answer as long as those that are looked
        for, or as half a window, must not be cut by all of them.
        """
        longest = min(self.settings.answer_tokens, (room + 1) // 2)
        return min(self.settings.doc_stride, room - longest + 1)

    def predict(self, logits: Logits, features: Sequence[Feature]) -> list[tuple[int, int] | None]:
        """The best span of all windows of each context, in characters; None for no answer."""
        count = features[-1].example + 1
        best = [(-np.inf, NOWHERE)] * count
        refusal = [np.inf] * count
        for one, window in zip(logits, features, strict=True):
            assert isinstance(window, Window)
            found = _best_span(one, window, self.settings.answer_tokens)
            best[window.example] = max(best[window.example], found)
            refusal[window.example] = min(refusal[window.example], float(one[0, 0] + one[1, 0]))
        return [
            None if self.may_refuse and no > score else span
            for (score, span), no in zip(best, refusal, strict=True)
        ]

    def score(
        self, predictions: Sequence[tuple[int, int] | str | None], examples: Sequence[Question]
    ) -> dict[str, float]:
        """Exact match and word F1, as SQuAD's script has them; from 0 to 1."""
        answers = [
            _written(given, one.context) for given, one in zip(predictions, examples, strict=True)
        ]
        golds = [one.answers for one in examples]
        return {
            "f1": metrics.answer_f1(golds, answers),
            "exact_match": metrics.exact_match(golds, answers),
        }

    def constant(self, examples: Sequence[Question]) -> list[str]:
        """The most frequent answer of training, which may be none."""
        train = self.dataset.splits["train"]
        counts = Counter(metrics.normalised(one.answers[0]) if one.answers else "" for one in train)
        return [counts.most_common(1)[0][0]] * len(examples)


def whole_answers(features: Sequence[Feature]) -> int:
    """How many questions have a window with the whole of their first answer."""
    return len({one.example for one in features if one.target.tolist() != list(NOWHERE)})


def _written(given: tuple[int, int] | str | None, context: str) -> str:
    if given is None or isinstance(given, str):
        return given or ""
    return context[slice(*given)]


def _tokens_of_answer(one: Question, offsets: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The first and the last token that hold a character of the answer."""
    if not one.answers:
        return None
    start, end = one.starts[0], one.starts[0] + len(one.answers[0])
    inside = [n for n, (left, right) in enumerate(offsets) if left < end and right > start]
    return (inside[0], inside[-1]) if inside else None


def _windows(length: int, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of overlapping parts; the last one reaches the end."""
    begin = 0
    while begin + room < length:
        yield begin, begin + room
        begin += stride
    yield begin, length


def _within(span: tuple[int, int] | None, begin: int, end: int, first: int) -> NDArray[np.int64]:
    """The answer's places in a window of tokens ``begin .. end`` that stands at ``first``."""
    if span is None or span[0] < begin or span[1] >= end:
        return np.array(NOWHERE)
    return np.array([span[0] - begin + first, span[1] - begin + first])


def _best_span(
    logits: NDArray[np.float32], window: Window, longest: int
) -> tuple[float, tuple[int, int]]:
    """The score of the best span of a window (2, T), and its characters."""
    count = len(window.offsets)
    if not count:
        return -np.inf, NOWHERE
    starts, ends = logits[:, window.first : window.first + count]  # (C,), (C,)
    place = np.arange(count)
    length = place[None, :] - place[:, None]  # (C, C): from start to end
    scores = np.where(
        (length >= 0) & (length < longest), starts[:, None] + ends[None, :], -np.inf
    )  # (C, C)
    start, end = divmod(int(scores.argmax()), count)
    characters = window.offsets[start][0], window.offsets[end][1]
    return float(scores[start, end]), characters
