"""A point for each pair whose grammatical sentence is the likelier, half a point for a tie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from clozebox.data import TokenStore
from clozebox.evaluation import Accuracy, EvaluationTask, HeldOut, sentence_scores, speaker
from clozebox.pretraining import PretrainingModel
from clozebox_minimal_pairs import MinimalPairsConfig
from clozebox_minimal_pairs.reading import Paradigm, read_paradigms, refuse

TIE = 1e-6
"""Nats for each token. What differs by less, single precision cannot tell apart."""

Sentence = tuple[int, ...]
"""Ids, without special tokens around them."""


class MinimalPairs(EvaluationTask):
    def __init__(self, config: MinimalPairsConfig) -> None:
        self.config = config
        self.paradigms = read_paradigms(Path(config.path), config.format, config.pairs)

    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        device = held_out.numerics.device
        objective = speaker(model, device)
        if objective is None:
            return {}
        ids = self._tokenized(held_out.store, model.shape.max_position_embeddings)
        # Each sentence once: two that are the same to the tokenizer tie whatever the batch.
        sentences = sorted(set(ids.values()))
        found = sentence_scores(model, objective, sentences, device, self.config.scoring)
        scores = dict(zip(sentences, found.tolist(), strict=True))
        each = [(one, _accuracy(one, ids, scores)) for one in self.paradigms]
        overall = Accuracy.mean([accuracy for _, accuracy in each])
        return {f"{self.config.format}_accuracy": overall, **self._parts(each)}

    def _parts(self, each: Sequence[tuple[Paradigm, Accuracy]]) -> dict[str, float]:
        """The mean over the paradigms of each phenomenon, or every paradigm by itself."""

        def name(one: tuple[Paradigm, Accuracy]) -> str:
            paradigm, _ = one
            return paradigm.phenomenon if self.config.by == "phenomenon" else paradigm.name

        return {
            f"{part}_accuracy": Accuracy.mean([accuracy for _, accuracy in members])
            for part, members in groupby(sorted(each, key=name), key=name)
        }

    def _tokenized(self, store: TokenStore, positions: int) -> dict[str, Sentence]:
        """The ids of every text. Raises UserError for texts that the model cannot read."""
        where = {
            text: pair.where
            for paradigm in self.paradigms
            for pair in paradigm.pairs
            for text in (pair.good, pair.bad)
        }
        encoded = store.tokenizer().encode_batch(list(where), add_special_tokens=False)
        ids = {text: tuple(one.ids) for text, one in zip(where, encoded, strict=True)}
        problems = []
        for text, one in ids.items():
            shown = f"{where[text]}: {text[:60]!r}"
            if len(one) + 2 > positions:
                problems.append(f"{shown} is {len(one) + 2} tokens; the model reads {positions}")
            if not one:
                problems.append(f"{shown} is nothing to the tokenizer")
        refuse(problems)
        return ids


def _accuracy(
    paradigm: Paradigm, ids: Mapping[str, Sentence], scores: Mapping[Sentence, float]
) -> Accuracy:
    points = 0.0
    for pair in paradigm.pairs:
        good, bad = ids[pair.good], ids[pair.bad]
        points += point(scores[good] - scores[bad], max(len(good), len(bad)))
    return Accuracy.of(points, len(paradigm.pairs))


def point(difference: float, tokens: int) -> float:
    """1 where the grammatical sentence is likelier by ``difference`` nats, 0 where it is less so.

    A half where neither is: a model that finds all sentences alike must score as one that guesses,
    and not have every pair (Papusoi and Nisioi, 2025).
    """
    undecided = TIE * tokens
    return 0.5 + 0.5 * (difference > undecided) - 0.5 * (difference < -undecided)
