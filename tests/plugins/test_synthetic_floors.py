"""Floors of real rows, from the token store to the sum, against enumeration.

Of the plugin, only the probabilities of the language are used to say what is right: every text that
may be hidden, every set of tokens that may be chosen and every fate of theirs is tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tests.plugins.synthetic_texts import Text, law_of, tiny_config

from clozebox import MaskingConfig
from clozebox.config.settings import TokenizerSettings
from clozebox.data import TokenStore, TrainingText, prepare
from clozebox.evaluation import SHORT_SEQ_PROB, HeldOut
from clozebox.pretraining import IGNORE_INDEX, Batch, MaskingStrategy, View, choose_exactly
from clozebox_synthetic import HmmConfig
from clozebox_synthetic.floors import Floor, Floors
from clozebox_synthetic.language import Language, words_of
from clozebox_synthetic.pairs import expected_pairs
from clozebox_synthetic.rows import numbering

ROWS = 12
SHAPES = [(2, 2, 3, 3), (3, 1, 3, 2)]
"""Sentences, words of a sentence, words that there are, kinds (or order could not be told)."""


class Uniform(MaskingConfig):
    """Any set of so many tokens."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        class Strategy(MaskingStrategy):
            def choose(self, batch: Batch, rate: float) -> torch.Tensor:
                return choose_exactly(batch.uniform("choice"), batch, rate)

        return Strategy(self, text.vocabulary)


class Here:
    device = torch.device("cpu")


class Reading(NamedTuple):
    """One way in which a row may have come about."""

    weight: float
    tokens: tuple[int, ...]  # of all its words
    label: int  # of the pair
    predicted: tuple[int, ...]  # which of the words


@dataclass(frozen=True)
class World:
    """A tiny language, its tokens, and every text of it."""

    config: HmmConfig
    store: TokenStore

    @property
    def seq_length(self) -> int:
        return self.config.sentences * self.config.sentence_words + 3

    @cached_property
    def token(self) -> list[int]:
        """Of each word."""
        encode = self.store.tokenizer().encode
        return [encode(word, add_special_tokens=False).ids[0] for word in words_of(self.config)]

    @cached_property
    def laws(self) -> dict[int, dict[Text, float]]:
        """By the number of sentences, in terms of tokens."""
        language = Language.of(self.config)
        return {
            count: {
                tuple(self.token[word] for word in text): p
                for text, p in law_of(language, count).items()
            }
            for count in range(1, self.config.sentences + 1)
        }

    def batch(self, masking: MaskingConfig | None, kind: Any) -> Batch:
        documents = np.arange(self.store.num_documents)
        strategy = None if masking is None else masking.build(TrainingText(self.store, documents))
        here: Any = Here()
        held_out = HeldOut(
            self.store, documents, self.seq_length, ROWS, strategy, here, kind, self.config
        )
        return next(held_out.batches(ROWS, own=True))

    def floors(self, kind: Any) -> Floors:
        numbers = numbering(self.config, self.store, self.seq_length)
        return Floors(self.config, numbers, kind, SHORT_SEQ_PROB)

    def texts(self, batch: Batch, kind: Any) -> Iterator[tuple[float, Text, int]]:
        """What the words of a row may be, whatever it shows: weight, tokens, label."""
        width = self.config.sentence_words
        special = batch.special_tokens_mask[0].numpy()
        both = int((~special).sum()) // width
        if batch.pair_label is None:
            yield from ((p, text, 0) for text, p in self.laws[both].items())
            return
        first = int(special[1:].argmax()) // width
        follows, other = expected_pairs(kind, self.config.sentences, width, SHORT_SEQ_PROB)
        for text, p in self.laws[both].items():
            one, two = text[: first * width], text[first * width :]
            yield follows[first, both - first] * p, text, 0
            apart = self.laws[first][one] * self.laws[both - first][two]
            law = apart if kind == "pair" else self.laws[both][two + one]
            yield other[first, both - first] * law, text, 1

    def readings(self, batch: Batch, kind: Any) -> Iterator[Reading]:
        """All ways to come to what is shown of the masked batch of one row."""
        assert batch.masking is not None
        config, ordinary = batch.masking.config, len(batch.vocabulary.ordinary_ids)
        kept = 1 - config.mask_share - config.random_share
        shown = batch.masked.input_ids[0][~batch.special_tokens_mask[0]].tolist()
        length = int(batch.attention_mask.sum())
        predicted, corrupted = (
            min(max(1, round(length * rate)), len(shown))
            for rate in (config.rate, config.corruption_rate or config.rate)
        )
        texts = [each for each in self.texts(batch, kind) if each[0] > 0]
        for larger in itertools.combinations(range(len(shown)), max(predicted, corrupted)):
            for smaller in itertools.combinations(larger, min(predicted, corrupted)):
                asked, changed = (smaller, larger) if corrupted > predicted else (larger, smaller)
                for weight, text, label in texts:
                    for place, (seen, was) in enumerate(zip(shown, text, strict=True)):
                        if place not in changed:
                            weight *= seen == was
                        elif seen == batch.vocabulary.mask_id:
                            weight *= config.mask_share
                        else:
                            weight *= config.random_share / ordinary + kept * (seen == was)
                    if weight:
                        yield Reading(weight, text, label, asked)


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    config = tiny_config(*request.param, documents=300)
    settings = TokenizerSettings(vocab_size=64)
    return World(config, prepare(config, settings, tmp_path_factory.mktemp("tiny")))


def each_row(batch: Batch) -> Iterator[Batch]:
    for row in range(len(batch.input_ids)):
        yield batch.take(np.array([row]))


def words(batch: Batch) -> list[int]:
    return batch.input_ids[0][~batch.special_tokens_mask[0]].tolist()


def predicted_words(batch: Batch) -> list[int]:
    """Which of the words of one row are predicted."""
    return (
        (batch.masked.labels[0][~batch.special_tokens_mask[0]] != IGNORE_INDEX)
        .nonzero()
        .flatten()
        .tolist()
    )


def nats_of_words(readings: list[Reading], row: Batch) -> float:
    """-log P(word | the row as shown, it is predicted), summed over the predicted."""
    nats, truth = 0.0, words(row)
    for place in predicted_words(row):
        asked = [one for one in readings if place in one.predicted]
        right = sum(one.weight for one in asked if one.tokens[place] == truth[place])
        nats -= math.log(right / sum(one.weight for one in asked))
    return nats


def as_masked(batch: Batch) -> View:
    return batch.masked


def one_to_the_left(batch: Batch) -> View:
    """Masked next-token prediction."""
    return replace(batch.masked, labels=batch.masked.labels.roll(-1, 1))


SPLITS = [
    Uniform(rate=0.3),
    Uniform(rate=0.3, mask_share=0.2, random_share=0.5),
    Uniform(rate=0.3, mask_share=0.0, random_share=1.0),
    Uniform(rate=0.3, mask_share=0.6, random_share=0.0),
    Uniform(rate=0.4, corruption_rate=0.2, mask_share=0.3, random_share=0.3),
    Uniform(rate=0.2, corruption_rate=0.4, mask_share=0.3, random_share=0.3),
]


@pytest.mark.parametrize("kind", ["single", "pair", "swapped_pair"])
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_floors_of_masked_rows_are_those_of_enumeration(
    world: World, split: MaskingConfig, kind: str
) -> None:
    floors = world.floors(kind)
    batch = world.batch(split, kind)
    sums = {"words": 0.0, "pairs": 0.0, "errors": 0.0}
    for row in each_row(batch):
        readings = list(world.readings(row, kind))
        words_nats = nats_of_words(readings, row)
        for view in (as_masked, one_to_the_left):
            found = floors.of_tokens(view(row), row)
            assert found is not None and found.targets == len(predicted_words(row))
            assert found.nats == pytest.approx(words_nats, abs=1e-9)
        sums["words"] += words_nats
        if row.pair_label is not None:
            whole = sum(one.weight for one in readings)
            label = int(row.pair_label[0])
            right = sum(one.weight for one in readings if one.label == label) / whole
            sums["pairs"] -= math.log(right)
            sums["errors"] += 0.5 if abs(right - 0.5) < 1e-9 else right < 0.5
    found = floors.of_tokens(batch.masked, batch)
    assert found is not None and found.nats == pytest.approx(sums["words"], abs=1e-8)
    if kind != "single":
        pairs = floors.of_pairs(batch.masked, batch)
        assert pairs is not None and pairs.nats == pytest.approx(sums["pairs"], abs=1e-8)
        assert pairs.errors == sums["errors"] and pairs.targets == ROWS


@pytest.mark.parametrize("kind", ["pair", "swapped_pair"])
def test_floors_of_unmasked_pairs_are_those_of_enumeration(world: World, kind: str) -> None:
    floors, batch = world.floors(kind), world.batch(None, kind)
    for row in each_row(batch):
        assert row.pair_label is not None
        texts = [
            (p, label) for p, text, label in world.texts(row, kind) if text == tuple(words(row))
        ]
        right = sum(p for p, label in texts if label == int(row.pair_label[0]))
        found = floors.of_pairs(row.plain, row)
        expected = -math.log(right / sum(p for p, _ in texts))
        assert found is not None and found.nats == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "view",
    [
        lambda batch: batch.causal,
        lambda batch: batch.anticausal,
        lambda batch: batch.prefix(torch.full((len(batch.input_ids),), 3)),
    ],
    ids=["forward", "backward", "prefix"],
)
def test_one_sided_floors_of_rows_are_those_of_enumeration(
    world: World, view: Callable[[Batch], View]
) -> None:
    floors, batch = world.floors("single"), world.batch(None, "single")
    law = world.laws[world.config.sentences]

    def chance(text: list[int], places: range) -> float:
        return sum(p for other, p in law.items() if all(other[i] == text[i] for i in places))

    for row in each_row(batch):
        shown, text = view(row), words(row)
        length, kind = len(text), shown.attention.kind
        nats = 0.0
        for place in range(2 if kind == "prefix" else 0, length):  # after [CLS] and two words
            forward = kind != "anticausal"
            seen = range(place) if forward else range(place + 1, length)
            with_it = range(place + 1) if forward else range(place, length)
            nats += math.log(chance(text, seen) / chance(text, with_it))
        found = floors.of_tokens(shown, row)
        assert found is not None and found.nats == pytest.approx(nats, abs=1e-9)


def test_both_directions_have_one_floor_row_by_row(world: World) -> None:
    floors, batch = world.floors("single"), world.batch(None, "single")
    law = world.laws[world.config.sentences]
    for row in each_row(batch):
        ahead, back = floors.of_tokens(row.causal, row), floors.of_tokens(row.anticausal, row)
        assert ahead is not None and back is not None
        assert ahead.nats == pytest.approx(-math.log(law[tuple(words(row))]), abs=1e-9)
        assert back.nats == pytest.approx(ahead.nats, abs=1e-9)


def test_sums_keep_the_most_targets_of_a_row() -> None:
    found = Floor.sum([Floor(3.0, 8, 4), Floor(1.0, 2, 2)])
    assert found == Floor(4.0, 10, 4)
    assert Floor.sum([Floor(3.0, 8, 4), None]) is None
    assert Floor.sum([]) is None
