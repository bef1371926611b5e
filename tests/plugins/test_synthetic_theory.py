"""The exact posteriors of the made-up language, against enumeration of everything that can be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from tests.plugins.synthetic_texts import Text, law_of, rows_of, tiny

from clozebox_synthetic import HmmConfig
from clozebox_synthetic.corruption import Corruption
from clozebox_synthetic.inference import Arrangement, States, nothing_seen
from clozebox_synthetic.language import Language
from clozebox_synthetic.rows import NO_WORD, NOTHING

SHAPES = [(2, 2, 2), (3, 1, 3), (2, 3, 2)]  # sentences, words of a sentence, words that there are


def joined(rows: np.ndarray) -> Arrangement:
    return Arrangement.joined(*rows.shape[:2])


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def language(request: pytest.FixtureRequest) -> Language:
    return tiny(*request.param)


@pytest.fixture(scope="module")
def law(language: Language) -> dict[Text, float]:
    return law_of(language, language.sentences)


def test_the_law_of_a_text_sums_to_one(law: dict[Text, float]) -> None:
    assert sum(law.values()) == pytest.approx(1, abs=1e-12)


def test_a_part_of_a_document_has_the_same_law_wherever_it_begins(
    language: Language, law: dict[Text, float]
) -> None:
    part = law_of(language, 1)
    width = language.sentence_words
    for sentence in range(language.sentences):
        for text, expected in part.items():
            place = sentence * width
            found = sum(p for whole, p in law.items() if whole[place : place + width] == text)
            assert found == pytest.approx(expected, abs=1e-12)


def one_sided(language: Language, rows: np.ndarray, from_the_left: bool) -> np.ndarray:
    known = Corruption.none(len(rows))
    seen = known.evidence(language, rows)
    sides = (seen, nothing_seen(seen)) if from_the_left else (nothing_seen(seen), seen)
    states = States.of(language, *sides).posterior(joined(rows))
    return known.nats(states, language, np.full_like(rows, NOTHING), rows)


def marginal(law: dict[Text, float], text: Text, places: range) -> float:
    return sum(p for other, p in law.items() if all(other[i] == text[i] for i in places))


@pytest.mark.parametrize("from_the_left", [True, False], ids=["forward", "backward"])
def test_one_sided_floors_are_those_of_enumeration(
    language: Language, law: dict[Text, float], from_the_left: bool
) -> None:
    texts = list(law)
    nats = one_sided(language, rows_of(texts, language), from_the_left).reshape(len(texts), -1)
    length = nats.shape[1]
    for text, found in zip(texts, nats, strict=True):
        for place in range(length):
            seen = range(place) if from_the_left else range(place + 1, length)
            with_it = range(place + 1) if from_the_left else range(place, length)
            expected = math.log(marginal(law, text, seen)) - math.log(marginal(law, text, with_it))
            assert found[place] == pytest.approx(expected, abs=1e-9)


def test_both_directions_pay_the_same_for_a_whole_row(
    language: Language, law: dict[Text, float]
) -> None:
    rows = rows_of(list(law), language)
    forward, backward = (one_sided(language, rows, side).sum((1, 2)) for side in (True, False))
    np.testing.assert_allclose(forward, -np.log(list(law.values())), atol=1e-9)
    np.testing.assert_allclose(backward, forward, atol=1e-9)


class Channel:
    """The 80/10/10 rule, told by what may become of one token."""

    ordinary = 5  # ordinary tokens in the vocabulary, words or not

    def __init__(self, mask_share: float, random_share: float) -> None:
        self.mask_share = mask_share
        self.random_share = random_share
        self.kept = 1 - mask_share - random_share

    def __call__(self, shown: int, word: int) -> float:
        """P(shown | word, chosen)."""
        if shown == NOTHING:
            return self.mask_share
        return self.random_share / self.ordinary + self.kept * (shown == word)


def enumerated(
    law: dict[Text, float], shown: Text, corrupted: int, predicted: int, channel: Channel
) -> np.ndarray:
    """P(word at i, i is predicted, the row is shown) -> (L, V), by every choice there is."""
    length, words = len(shown), 1 + max(max(text) for text in law)
    found = np.zeros((length, words))
    places = range(length)
    larger, smaller = max(corrupted, predicted), min(corrupted, predicted)
    for chosen in itertools.combinations(places, larger):
        for part in itertools.combinations(chosen, smaller):
            changed, asked = (chosen, part) if corrupted > predicted else (part, chosen)
            for text, probability in law.items():
                weight = probability
                for i in places:
                    if i in changed:
                        weight *= channel(shown[i], text[i])
                    else:
                        weight *= float(shown[i] == text[i])
                for i in asked:
                    found[i, text[i]] += weight
    return found


def corruption_of(rows: np.ndarray, corrupted: int, predicted: int, channel: Channel) -> Corruption:
    length = rows[0].size
    masked = (rows == NOTHING).sum((1, 2))
    spared = max(predicted - corrupted, 0) / max(length - corrupted, 1)
    return Corruption(
        replaced=channel.random_share / channel.ordinary,
        kept=channel.kept,
        hidden=corrupted - masked,
        spared=np.full(len(rows), spared),
    )


def shown_rows(law: dict[Text, float], corrupted: int, channel: Channel) -> Iterator[Text]:
    """Every row that so many corrupted tokens can lead to, and some more."""
    words = 1 + max(max(text) for text in law)
    length = len(next(iter(law)))
    tokens = [*range(words), NO_WORD] if channel.random_share else [*range(words)]
    if channel.mask_share:
        tokens.append(NOTHING)
    for row in itertools.product(tokens, repeat=length):
        masked, strange = row.count(NOTHING), row.count(NO_WORD)
        hides_more = channel.random_share > 0 or channel.kept > 0
        if masked + strange <= corrupted and (hides_more or masked == corrupted):
            yield row


@pytest.mark.parametrize(
    ("mask_share", "random_share"),
    [(1.0, 0.0), (0.8, 0.1), (0.5, 0.5), (0.0, 1.0), (0.0, 0.6), (0.6, 0.0)],
)
@pytest.mark.parametrize(("corrupted", "predicted"), [(1, 1), (2, 2), (1, 2), (2, 1)])
def test_masked_floors_are_those_of_enumeration(
    mask_share: float, random_share: float, corrupted: int, predicted: int
) -> None:
    language = tiny(2, 2, 2)
    law = law_of(language, 2)
    channel = Channel(mask_share, random_share)
    texts = list(shown_rows(law, corrupted, channel))
    rows = rows_of(texts, language)
    corruption = corruption_of(rows, corrupted, predicted, channel)
    evidence = corruption.evidence(language, rows)
    states = States.of(language, evidence, evidence).posterior(joined(rows))
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = np.stack(
            [corruption.nats(states, language, rows, np.full_like(rows, word)) for word in (0, 1)],
            axis=-1,
        ).reshape(len(texts), -1, 2)
    compared = 0
    for shown, found in zip(texts, nats, strict=True):
        expected = enumerated(law, shown, corrupted, predicted, channel)
        for place, weights in enumerate(expected):
            if weights.sum() == 0:
                continue  # it cannot have been predicted
            chances = weights / weights.sum()
            np.testing.assert_allclose(np.exp(-found[place]), chances, atol=1e-9)
            compared += 1
    assert compared >= len(texts)


def likelihood(language: Language, rows: np.ndarray, arrangement: Arrangement) -> np.ndarray:
    seen = Corruption.none(len(rows)).evidence(language, rows)
    return States.of(language, seen, seen).likelihood(arrangement)[:, 0]


@pytest.mark.parametrize("first", [1, 2])
def test_what_pairs_are_made_of_is_weighed_as_by_enumeration(first: int) -> None:
    language = tiny(3, 1, 3)
    laws = {count: law_of(language, count) for count in (1, 2, 3)}
    rows = rows_of(list(laws[3]), language)
    parts = np.full(len(rows), first)
    both = np.full(len(rows), 3)
    found = {
        "joined": likelihood(language, rows, joined(rows)),
        "apart": likelihood(language, rows, Arrangement.apart(parts, 3)),
        "swapped": likelihood(language, rows, Arrangement.swapped(parts, both, 3)),
    }
    for index, text in enumerate(laws[3]):
        one, other = text[:first], text[first:]
        expected = {
            "joined": laws[3][text],
            "apart": laws[first][one] * laws[3 - first][other],
            "swapped": laws[3][other + one],
        }
        for name, weights in found.items():
            ratio = weights[index] / found["joined"][index]
            assert ratio == pytest.approx(expected[name] / expected["joined"], abs=1e-9)


def test_a_row_of_fewer_sentences_is_weighed_without_the_others() -> None:
    language = tiny(3, 1, 3)
    laws = {count: law_of(language, count) for count in (1, 2)}
    texts = list(laws[2])
    rows = rows_of([(*text, NOTHING) for text in texts], language)
    one, two = np.full(len(rows), 1), np.full(len(rows), 2)
    weights = {
        "joined": likelihood(language, rows, joined(rows)),
        "apart": likelihood(language, rows, Arrangement.apart(one, 3)),
        "swapped": likelihood(language, rows, Arrangement.swapped(one, two, 3)),
    }
    for index, (first, second) in enumerate(texts):
        expected = {
            "joined": laws[2][first, second],
            "apart": laws[1][(first,)] * laws[1][(second,)],
            "swapped": laws[2][second, first],
        }
        for name, found in weights.items():
            ratio = found[index] / weights["joined"][index]
            assert ratio == pytest.approx(expected[name] / expected["joined"], abs=1e-9)


@pytest.mark.parametrize("kind", ["apart", "swapped"])
@pytest.mark.parametrize(("sentences", "width", "first"), [(2, 2, 1), (3, 1, 1), (3, 1, 2)])
def test_words_are_predicted_in_pairs_as_by_enumeration(
    kind: str, sentences: int, width: int, first: int
) -> None:
    """The mixture of what a pair may be, hidden words and all, with unequal weights."""
    language = tiny(sentences, width, 2)
    laws = {count: law_of(language, count) for count in range(1, sentences + 1)}
    law, mixed = laws[sentences], {}
    for text, probability in law.items():
        one, other = text[: first * width], text[first * width :]
        apart = laws[first][one] * laws[sentences - first][other]
        mixed[text] = 0.3 * probability + 0.7 * (apart if kind == "apart" else law[other + one])
    channel = Channel(0.8, 0.1)
    texts = list(shown_rows(law, 2, channel))
    rows = rows_of(texts, language)
    corruption = corruption_of(rows, 2, 2, channel)
    evidence = corruption.evidence(language, rows)
    known, parts = States.of(language, evidence, evidence), np.full(len(rows), first)
    arrangement = {
        "apart": Arrangement.apart(parts, sentences),
        "swapped": Arrangement.swapped(parts, np.full(len(rows), sentences), sentences),
    }[kind]
    states = 0.3 * known.posterior(joined(rows)) + 0.7 * known.posterior(arrangement)
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = corruption.nats(states, language, rows, np.zeros_like(rows)).reshape(len(texts), -1)
    for shown, found in zip(texts, nats, strict=True):
        for place, weights in enumerate(enumerated(mixed, shown, 2, 2, channel)):
            if weights.sum():
                expected = weights[0] / weights.sum()
                assert math.exp(-found[place]) == pytest.approx(expected, abs=1e-9)


def test_nothing_underflows_in_the_longest_documents() -> None:
    config = HmmConfig(sentences=32, sentence_words=16, words=400, sharpness=6.0, documents=2)
    language = Language.of(config)
    rows = language.texts(0, 4)
    strange = np.where(rows % 7 == 0, (rows + 1) % 400, rows)
    corruption = Corruption(1e-3, 0.1, np.full(4, 20), np.zeros(4))
    evidence = corruption.evidence(language, strange)
    states = States.of(language, evidence, evidence).posterior(joined(rows))
    assert np.isfinite(corruption.nats(states, language, strange, rows)).all()
