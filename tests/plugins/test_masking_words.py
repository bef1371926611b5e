"""Whole words (BERT's whole-word masking)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.masking_rows import (
    CLS,
    PIECE,
    SEP,
    VOCABULARY,
    WORD,
    batch_of,
    words_of_sizes,
)
from torch import Tensor

from clozebox.config.settings import TokenizerSettings
from clozebox.data import prepare
from clozebox.pretraining import IGNORE_INDEX, Batch, numbers_to_choose
from clozebox.testing.bench import BenchCorpus
from clozebox.training.console import Console
from clozebox.training.setup import set_up
from clozebox_masking import WholeWordMaskingConfig
from clozebox_masking.units import (
    _whole,
    _whole_on_host,
    first_tokens,
    word_begins,
    word_starters,
)

STARTERS = word_starters(VOCABULARY)


def random_words(sequences: int, largest: int, seed: int = 0, **masking: Any) -> Batch:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 30, sequences)
    sizes = [generator.integers(1, largest + 1, length) for length in lengths]
    config = WholeWordMaskingConfig(**masking)
    return batch_of([words_of_sizes(row) for row in sizes], config, seed=seed)


def as_bert_chooses(batch: Batch, rate: float) -> Tensor:
    """Word after word, in a random order; one that would exceed the number is skipped."""
    begins, score = word_begins(batch, STARTERS), batch.uniform("choice")
    first = first_tokens(begins)
    chosen = torch.zeros_like(begins)
    for row, number in enumerate(numbers_to_choose(batch, rate).flatten().tolist()):
        words: dict[int, list[int]] = {}
        for place in (~batch.special_tokens_mask[row]).nonzero().flatten().tolist():
            words.setdefault(int(first[row, place]), []).append(place)
        for begin in sorted(words, key=lambda begin, row=row: score[row, begin].item()):
            if len(words[begin]) <= number:
                chosen[row, words[begin]] = True
                number -= len(words[begin])
    return chosen


def test_a_word_begins_at_a_piece_that_continues_none_or_follows_a_special_token() -> None:
    batch = batch_of([[WORD, PIECE, PIECE, WORD, SEP, PIECE, PIECE, WORD], [PIECE]])
    begins = word_begins(batch, STARTERS)
    assert begins.int().tolist() == [[1, 1, 0, 0, 1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]
    assert first_tokens(begins)[0].tolist() == [0, 1, 1, 1, 4, 5, 6, 6, 8, 9]


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_words_are_taken_as_bert_takes_them(rate: float) -> None:
    batch = random_words(400, largest=3)
    assert batch.masking is not None
    assert torch.equal(batch.masking.choose(batch, rate), as_bert_chooses(batch, rate))


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.02, 0.95),
    st.sampled_from([2, 3, 1000]),
    st.integers(1, 7),
)
def test_words_are_whole_and_fill_the_number_on_a_device_as_on_the_host(
    seed: int, rate: float, levels: int, largest: int
) -> None:
    batch = random_words(5, largest, seed)
    begins, special = word_begins(batch, STARTERS), batch.special_tokens_mask
    # Few levels make many ties.
    score = torch.from_numpy(batch.bits("score").numpy() % np.uint32(levels))
    numbers = numbers_to_choose(batch, rate)
    for tried in (7, begins.shape[1]):
        chosen = _whole_on_host(score, begins, special, numbers, tried)
        assert torch.equal(chosen, _whole(score, begins, special, numbers, tried))
    assert torch.equal(chosen, chosen.gather(1, first_tokens(begins)))
    assert not (chosen & special).any()
    left = numbers - chosen.sum(1, keepdim=True)
    assert (left >= 0).all()
    alone = begins & begins.roll(-1, 1) & ~special & ~chosen  # words of one piece, left out
    assert not (alone & (left > 0)).any()


def test_words_of_one_size_are_all_as_likely() -> None:
    contents = [words_of_sizes([1, 2, 1, 3, 1, 1, 2, 1, 1, 3, 1, 1])] * 20_000
    batch = batch_of(contents, WholeWordMaskingConfig(rate=0.3))
    share = (batch.masked.labels != IGNORE_INDEX).double().mean(0)
    for size in (1, 2, 3):
        words = [place for place in range(1, 19) if size_at(batch, place) == size]
        each = share[words]
        assert (each - each.mean()).abs().max() < 4.5 * np.sqrt(0.25 / 20_000)


def size_at(batch: Batch, place: int) -> int:
    """Pieces of the word that begins at a place of the first sequence; 0 where none begins."""
    begins = word_begins(batch, STARTERS)[0].tolist()
    return begins.index(True, place + 1) - place if begins[place] else 0


def test_each_piece_has_a_fate_of_its_own() -> None:
    batch = batch_of(
        [words_of_sizes([2] * 9)] * 4000,
        WholeWordMaskingConfig(rate=0.3, mask_share=0.5, random_share=0.0),
    )
    view = batch.masked
    pairs = (view.labels != IGNORE_INDEX)[:, 1:-1].unflatten(1, (9, 2))
    hidden = (view.input_ids == VOCABULARY.mask_id)[:, 1:-1].unflatten(1, (9, 2))
    both = hidden.all(-1).sum() / pairs.all(-1).sum()
    assert abs(both.item() - 0.25) < 4.5 * np.sqrt(0.25 * 0.75 / pairs.all(-1).sum().item())


@pytest.mark.parametrize(("kind", "size"), [("wordpiece", 120), ("bpe", 340)])
def test_words_are_those_of_the_tokenizer(kind: Any, size: int, tmp_path: Any) -> None:
    settings = TokenizerSettings(kind=kind, vocab_size=size)
    store = prepare(BenchCorpus(), settings, tmp_path)
    table, several = word_starters(store.vocabulary), 0
    for document in BenchCorpus().build().documents():
        encoding = store.tokenizer().encode(" ".join(document))
        ids, special = torch.tensor([encoding.ids]), torch.tensor([encoding.special_tokens_mask])
        batch = as_batch(ids, special.bool())
        begins = word_begins(batch, table)[0].tolist()
        numbers = encoding.word_ids
        several += len(numbers) - len(set(numbers))
        told = [a != b or a is None for a, b in zip(numbers, [None, *numbers], strict=False)]
        assert begins == told
    assert several > 1000


def as_batch(ids: Tensor, special: Tensor) -> Batch:
    made = batch_of([[WORD] * (ids.shape[1] - 2)])
    return replace(made, input_ids=ids, special_tokens_mask=special)


def test_a_run_can_be_masked_by_whole_words(make_run: Callable[..., Any], registry: Any) -> None:
    training = set_up(make_run(masking={"name": "whole_word"}), registry, Console().say)
    [batch] = training.batches(0)
    assert (batch.masked.labels != IGNORE_INDEX).any(1).all()
    assert CLS not in batch.masked.labels
