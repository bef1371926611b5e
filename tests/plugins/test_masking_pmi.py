"""Collocations: counted as by hand, found as by hand (Levine et al., 2021)."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tests.plugins.masking_rows import PIECE, SEP, VOCABULARY, WORD, WrittenText, batch_of

from clozebox.errors import UserError
from clozebox_masking import PmiMaskingConfig
from clozebox_masking.collocations import PIECE_BASE, WORD_BASE, collocations, piece_codes, powers
from clozebox_masking.pmi import PmiMasking

Word = tuple[int, ...]
CODES = piece_codes(VOCABULARY.size)


def a_text(seed: int = 0, sentences: int = 400) -> WrittenText:
    """Words of one or two pieces out of a dozen; some sentences hold set phrases."""
    generator = np.random.default_rng(seed)
    words = [(WORD + n,) if n % 3 else (WORD + n, PIECE + n % 5) for n in range(12)]
    phrases = [(0, 1), (2, 3, 4), (5, 6, 7, 8)]
    text = []
    for _ in range(sentences):
        numbers = list(generator.integers(0, 12, generator.integers(1, 7)))
        if generator.random() < 0.5:
            numbers += phrases[generator.integers(3)]
        text.append([piece for number in numbers for piece in words[number]])
        if generator.random() < 0.3:  # a sentence that was cut
            text[-1].insert(0, PIECE)
    return WrittenText(text)


def words_of(sentence: Sequence[int]) -> list[Word]:
    words: list[Word] = []
    for piece in sentence:
        continues = piece >= PIECE and len(words)
        words = [*words[:-1], (*words[-1], piece)] if continues else [*words, (piece,)]
    return words


def ngrams(text: WrittenText, longest: int) -> Counter[tuple[Word, ...]]:
    found: Counter[tuple[Word, ...]] = Counter()
    for words in map(words_of, text.sentences):
        for begin, length in itertools.product(range(len(words)), range(1, longest + 1)):
            if begin + length <= len(words):
                found[tuple(words[begin : begin + length])] += 1
    return found


def divisions(words: tuple[Word, ...]) -> Iterator[list[tuple[Word, ...]]]:
    """Every way to cut an n-gram into two or more parts."""
    for cuts in range(1, len(words)):
        for places in itertools.combinations(range(1, len(words)), cuts):
            yield [words[a:b] for a, b in itertools.pairwise([0, *places, len(words)])]


def key_of(words: Sequence[Word]) -> int:
    def power(base: int, n: int) -> int:
        return pow(base, n, 1 << 64)

    codes = [
        sum(int(CODES[id]) * power(PIECE_BASE, n) for n, id in enumerate(word)) for word in words
    ]
    key = sum(code * power(WORD_BASE, n) for n, code in enumerate(codes)) % (1 << 64)
    return key - (1 << 64) if key >= 1 << 63 else key


def test_collocations_are_those_of_the_definition() -> None:
    text, min_count = a_text(), 8
    counted = ngrams(text, 4)
    total = sum(count for words, count in counted.items() if len(words) == 1)

    def log_share(words: tuple[Word, ...]) -> float:
        return math.log(counted[words] / total)

    pmi = {
        words: min(log_share(words) - sum(map(log_share, parts)) for parts in divisions(words))
        for words, count in counted.items()
        if len(words) > 1 and count >= min_count
    }
    above = sorted((words for words in pmi if pmi[words] > 1e-9), key=lambda words: -pmi[words])
    assert {len(words) for words in above} == {2, 3, 4}
    found = collocations(text, 10_000, min_count, 4)  # type: ignore[arg-type]
    assert found.tolist() == sorted(map(key_of, above))
    best = collocations(text, 5, min_count, 4)  # type: ignore[arg-type]
    assert best.tolist() == sorted(map(key_of, above[:5]))
    pairs = collocations(text, 10_000, min_count, 2)  # type: ignore[arg-type]
    assert pairs.tolist() == sorted(key_of(words) for words in above if len(words) == 2)


def test_a_text_without_collocations_is_refused() -> None:
    text: Any = WrittenText([[WORD], [WORD + 1]])
    with pytest.raises(UserError, match=r"masking\.min_count"):
        PmiMaskingConfig().build(text)


def strategy_of(phrases: Sequence[Sequence[Word]], longest: int = 4) -> PmiMasking:
    keys = np.sort(np.array([key_of(words) for words in phrases], dtype=np.int64))
    return PmiMasking(PmiMaskingConfig(), VOCABULARY, keys, longest)


def units(strategy: PmiMasking, content: list[int]) -> list[list[int]]:
    """The units of a sequence, without its special tokens."""
    batch = batch_of([content])
    begins = strategy.unit_begins(batch)[0].nonzero().flatten().tolist()
    ids = batch.input_ids[0].tolist()
    borders = itertools.pairwise([*begins, len(ids)])
    return [ids[a:b] for a, b in borders if ids[a] not in (0, 2, 3)]


A, B, C, D = (10,), (11, 50), (12,), (13, 51, 52)


def ids_of(words: Sequence[Word]) -> list[int]:
    return [id for word in words for id in word]


@pytest.mark.parametrize(
    ("phrases", "words", "expected"),
    [
        ([[A, B]], [C, A, B, C], [[C], [A, B], [C]]),
        ([[A, B]], [A, C, B, A], [[A], [C], [B], [A]]),
        ([[A, B], [A, B, C]], [A, B, C, A, B], [[A, B, C], [A, B]]),  # the longer first
        ([[A, B], [B, C]], [A, B, C], [[A, B], [C]]),  # the left first
        ([[A, B], [B, C, D]], [A, B, C, D], [[A], [B, C, D]]),
        ([[A, A]], [A, A, A, A, A], [[A, A], [A, A], [A]]),
        ([[A, B, C, D]], [D, A, B, C, D, A], [[D], [A, B, C, D], [A]]),
        ([[B, A]], [B, A, B, A], [[B, A], [B, A]]),
    ],
)
def test_units_are_collocations_and_other_words(
    phrases: list[list[Word]], words: list[Word], expected: list[list[Word]]
) -> None:
    assert units(strategy_of(phrases), ids_of(words)) == [ids_of(unit) for unit in expected]


def test_a_word_is_told_from_its_beginning() -> None:
    """``B`` is the piece 11 and more: 11 alone is another word."""
    assert units(strategy_of([[A, B]]), [10, 11, 12]) == [[10], [11], [12]]


def test_no_unit_reaches_across_a_special_token() -> None:
    assert units(strategy_of([[A, C]]), [10, SEP, 12, 10, 12]) == [[10], [12], [10, 12]]


def test_units_are_those_found_one_after_the_other() -> None:
    phrases: list[list[Word]] = [[A, B], [B, A], [C, C], [A, B, C], [C, D, A], [D, D, A, B]]
    strategy, generator = strategy_of(phrases), np.random.default_rng(0)
    for _ in range(300):
        words = [(A, B, C, D)[n] for n in generator.integers(0, 4, 14)]
        assert units(strategy, ids_of(words)) == [
            ids_of(unit) for unit in as_by_hand(phrases, words)
        ]


def as_by_hand(phrases: list[list[Word]], words: list[Word]) -> list[list[Word]]:
    """The longest first, and those of one length from the left."""
    unit = list(range(len(words)))  # of each word: where its unit begins
    for length in (4, 3, 2):
        begin = 0
        while begin + length <= len(words):
            alone = all(unit[n] == n for n in range(begin, begin + length))
            alone &= begin + length == len(words) or unit[begin + length] != begin + length - 1
            if alone and words[begin : begin + length] in phrases:
                unit[begin : begin + length] = [begin] * length
                begin += length
            else:
                begin += 1
    return [
        [words[n] for n in group]
        for _, group in itertools.groupby(range(len(words)), unit.__getitem__)
    ]


def test_collocations_are_hidden_whole() -> None:
    text: Any = a_text()
    batch = batch_of(text.sentences[:200], PmiMaskingConfig(rate=0.4, min_count=8), text)
    strategy: Any = batch.masking
    begins = strategy.unit_begins(batch)
    chosen = batch.masked.labels >= 0
    inside = ~begins & ~batch.special_tokens_mask
    assert torch.equal(chosen[inside], chosen.roll(1, 1)[inside])
    assert int(inside.sum()) > 200


def test_powers_are_taken_modulo_a_word_of_the_machine() -> None:
    with np.errstate(over="ignore"):
        expected = [np.int64(1)]
        for _ in range(5):
            expected.append(expected[-1] * np.int64(WORD_BASE))
    assert powers(WORD_BASE, 6).tolist() == [int(power) for power in expected]
