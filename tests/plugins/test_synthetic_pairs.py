"""How often which pair is cut from a document: every draw that the data side can make is tried."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clozebox.data import make_examples
from clozebox_synthetic.pairs import expected_pairs

SHORT = 0.3
FIRST_TOKEN = 10


def draws_of_a_sentence(sentences: int) -> list[tuple[float, float, float]]:
    """Where to cut, whether the second part is another, where that begins: all alike likely."""
    cuts = math.lcm(*range(1, sentences))
    return list(
        itertools.product(middles(cuts), middles(2), middles(sentences))
    )  # of [0, 1), in equal parts


def middles(count: int) -> list[float]:
    return [(part + 0.5) / count for part in range(count)]


def every_draw(sentences: int, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws (documents * J, 8), one document for each combination; its probability (documents,)."""
    room = sentences * words
    aims = [(1 - SHORT, 0.99, 0.0)]
    aims += [(SHORT / (room - 1), 0.0, number) for number in middles(room - 1)]
    each = draws_of_a_sentence(sentences)
    documents, chances = [], []
    for (chance, short, aim), *drawn in itertools.product(aims, *[each] * sentences):
        rows = np.zeros((sentences, 8))
        rows[:, [0, 1, 3]] = drawn
        rows[:, 5], rows[:, 6] = short, aim
        documents.append(rows)
        chances.append(chance / len(each) ** sentences)
    return np.concatenate(documents), np.array(chances)


@pytest.mark.parametrize("kind", ["pair", "swapped_pair"])
@pytest.mark.parametrize(("sentences", "words"), [(2, 1), (2, 3), (3, 1), (3, 2)])
def test_pairs_are_expected_as_often_as_all_draws_together_cut_them(
    kind: Any, sentences: int, words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws, chances = every_draw(sentences, words)
    assert chances.sum() == pytest.approx(1)
    count, room = len(chances), sentences * words
    store: Any = SimpleNamespace(
        tokens=np.repeat(np.arange(count) + FIRST_TOKEN, room),  # each tells its document
        sentence_offsets=np.arange(count * sentences + 1) * words,
        document_offsets=np.arange(count + 1) * sentences,
        vocabulary=SimpleNamespace(pad_id=0, cls_id=1, sep_id=2),
    )
    monkeypatch.setattr("clozebox.data.pairs.uniform", lambda *asked: draws[asked[2] :])
    examples = make_examples(kind, store, np.arange(count), room + 3, SHORT, seed=0)
    rows = examples.in_order(0, len(examples))
    assert rows.pair_label is not None
    second = rows.token_type_ids.sum(1) - 1
    first = rows.attention_mask.sum(1) - 3 - second
    assert not (first % words).any() and not (second % words).any()
    found = np.zeros((2, sentences + 1, sentences + 1))
    place = (rows.pair_label, first // words, second // words)
    np.add.at(found, place, chances[rows.input_ids[:, 1] - FIRST_TOKEN])
    np.testing.assert_allclose(found, expected_pairs(kind, sentences, words, SHORT), atol=1e-12)
