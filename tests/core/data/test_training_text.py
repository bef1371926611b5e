"""What masking strategies may count: the training documents, and no others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clozebox.data import TokenStore, TrainingText, training_text

FIRST_WORD = 5
LENGTHS = [[3, 5], [2], [4, 1, 6], [7], [1, 1], [9, 2], [3]]

Stores = Callable[[list[list[int]]], TokenStore]


def expected(documents: list[int]) -> tuple[list[int], list[bool]]:
    """The ids and the beginnings of sentences: sentence n is its own word, again and again."""
    ids, begins, sentence = [], [], 0
    for document, lengths in enumerate(LENGTHS):
        for length in lengths:
            if document in documents:
                ids += [FIRST_WORD + sentence] * length
                begins += [True] + [False] * (length - 1)
            sentence += 1
    return ids, begins


def read(text: TrainingText, most: int = 1 << 25) -> tuple[list[int], list[bool]]:
    blocks = list(text.blocks(most))
    assert all(block.ids.dtype == np.int64 for block in blocks)
    assert all(block.begins[0] for block in blocks)
    return (
        [id for block in blocks for id in block.ids.tolist()],
        [begin for block in blocks for begin in block.begins.tolist()],
    )


@pytest.mark.parametrize("documents", [[0, 1, 2, 3, 4, 5, 6], [1, 2, 5], [6], [0, 6]])
@pytest.mark.parametrize("block", [1, 4, 10, 1 << 20])
def test_the_training_documents_are_read_in_order_and_no_others(
    store_of_lengths: Stores,
    monkeypatch: pytest.MonkeyPatch,
    documents: list[int],
    block: int,
) -> None:
    monkeypatch.setattr(training_text, "_BLOCK", block)
    text = TrainingText(store_of_lengths(LENGTHS), np.array(documents))
    assert read(text) == expected(documents)


def test_blocks_hold_whole_documents_and_about_as_many_tokens_as_they_should(
    store_of_lengths: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_text, "_BLOCK", 10)
    text = TrainingText(store_of_lengths(LENGTHS), np.arange(len(LENGTHS)))
    sizes = [len(block.ids) for block in text.blocks()]
    borders = np.cumsum([sum(lengths) for lengths in LENGTHS])
    assert set(np.cumsum(sizes)) <= set(borders)
    assert len(sizes) > 2
    assert max(sizes) < 10 + max(sum(lengths) for lengths in LENGTHS)


def test_of_a_long_text_every_nth_document_is_read(store_of_lengths: Stores) -> None:
    text = TrainingText(store_of_lengths(LENGTHS), np.arange(len(LENGTHS)))
    total = sum(map(sum, LENGTHS))
    assert read(text, most=total) == expected(list(range(7)))
    assert read(text, most=total - 1) == expected([0, 2, 4, 6])
    assert read(text, most=total // 3) == expected([0, 4])
    assert read(text, most=1) == expected([0])


def test_counts_are_those_of_the_training_documents(store_of_lengths: Stores) -> None:
    text = TrainingText(store_of_lengths(LENGTHS), np.array([1, 2]))
    ids, _ = expected([1, 2])
    assert text.counts.tolist() == np.bincount(ids, minlength=text.vocabulary.size).tolist()
    assert text.vocabulary == text.store.vocabulary
