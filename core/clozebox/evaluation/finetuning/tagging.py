"""The tag of each word, such as the kind of name that it belongs to.

T tokens, K tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from clozebox.evaluation.finetuning import metrics
from clozebox.evaluation.finetuning.encoding import Feature, Tokens
from clozebox.evaluation.finetuning.examples import TaggedWords
from clozebox.evaluation.finetuning.heads import TagHead
from clozebox.evaluation.finetuning.kind import Kind, Logits
from clozebox.pretraining import IGNORE_INDEX


class Tagging(Kind):
    """A word is tagged at the first of its pieces (Devlin et al., 2019, 5.3)."""

    head = TagHead

    def encode(self, examples: Sequence[TaggedWords], tokens: Tokens) -> list[Feature]:
        """Features with a target for each token; a sentence that is too long becomes several.

        It is cut between words, so that every word is in exactly one feature.
        """
        encodings = tokens.tokenizer.encode_batch(
            [list(one.words) for one in examples], is_pretokenized=True, add_special_tokens=False
        )
        features = []
        for number, (one, encoding) in enumerate(zip(examples, encodings, strict=True)):
            pieces: list[list[int]] = [[] for _ in one.words]
            for token, word in zip(encoding.ids, encoding.word_ids, strict=True):
                if word is not None:
                    pieces[word].append(token)
            # A word of control characters alone has no piece, and is to be tagged all the same.
            words = [some or [tokens.vocabulary.unk_id] for some in pieces]
            for first, last in _cuts(words, tokens.seq_length - 2):
                features.append(_feature(words[first:last], one.tags[first:last], number, tokens))
        return features

    def predict(self, logits: Logits, features: Sequence[Feature]) -> list[list[int]]:
        """The likeliest tag of every word of each sentence."""
        found: list[list[int]] = [[] for _ in range(features[-1].example + 1)]
        for one, feature in zip(logits, features, strict=True):  # (K, T)
            found[feature.example] += one[:, feature.target != IGNORE_INDEX].argmax(0).tolist()
        return found

    def score(
        self, predictions: Sequence[Sequence[int]], examples: Sequence[TaggedWords]
    ) -> dict[str, float]:
        """F1 of whole spans, and the share of words that are tagged right."""
        names = self.dataset.labels
        truth = [[names[tag] for tag in one.tags] for one in examples]
        predicted = [[names[tag] for tag in tags] for tags in predictions]
        return {
            "span_f1": metrics.span_f1(truth, predicted),
            "accuracy": metrics.accuracy(
                np.concatenate([one.tags for one in examples]), np.concatenate(predictions)
            ),
        }

    def constant(self, examples: Sequence[TaggedWords]) -> list[list[int]]:
        """The most frequent tag of the training words."""
        counts = Counter(tag for one in self.dataset.splits["train"] for tag in one.tags)
        tag = counts.most_common(1)[0][0]
        return [[tag] * len(one.words) for one in examples]


def _cuts(words: Sequence[Sequence[int]], room: int) -> Iterator[tuple[int, int]]:
    """(first, last) of the words of each feature; a word longer than the room is alone in one."""
    first = filled = 0
    for place, pieces in enumerate(words):
        if place > first and filled + len(pieces) > room:
            yield first, place
            first, filled = place, 0
        filled += len(pieces)
    yield first, len(words)


def _feature(
    words: Sequence[list[int]], tags: Sequence[int], example: int, tokens: Tokens
) -> Feature:
    content = [piece for pieces in words for piece in pieces]
    framed = tokens.framed(content)
    target = np.full(len(framed.input_ids), IGNORE_INDEX, dtype=np.int64)  # (T,)
    begins = 1 + np.cumsum([0, *map(len, words[:-1])])
    target[begins] = tags
    return Feature(*framed, target, example)
