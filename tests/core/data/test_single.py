from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clozebox.data import Examples, Rows, TokenStore, make_examples
from clozebox.errors import UserError

StoreOf = Callable[[list[list[int]]], TokenStore]

PAD, CLS, SEP, FIRST_WORD = 0, 2, 3, 5
LENGTHS = [[3, 4, 2, 9], [1], [5, 5, 5, 5, 5, 5, 5], [31, 2], [2, 25, 1, 1], [7, 6]]


def single(store: TokenStore, seq_length: int = 13, seed: int = 0, **changes: object) -> Examples:
    documents = np.arange(store.num_documents)
    given = {"documents": documents, "seq_length": seq_length, "seed": seed, **changes}
    return make_examples("single", store, short_seq_prob=0.1, **given)  # type: ignore[arg-type]


def everything(examples: Examples) -> Rows:
    return examples.in_order(0, len(examples))


def content(rows: Rows) -> list[list[int]]:
    return [
        row[~special].tolist()
        for row, special in zip(rows.input_ids, rows.special_tokens_mask, strict=True)
    ]


@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=9), min_size=1, max_size=7),
    st.integers(8, 33),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
def test_an_epoch_is_every_token_once_and_no_row_crosses_a_document(
    store_of_lengths: StoreOf, lengths: list[list[int]], seq_length: int
) -> None:
    store = store_of_lengths(lengths)
    packed = content(everything(single(store, seq_length)))
    assert sum(packed, []) == store.tokens.tolist()

    expected = []  # the rule, written naively
    for document, first in zip(lengths, store.document_offsets, strict=False):
        row: list[int] = []
        for number, length in enumerate(document, int(first) + FIRST_WORD):
            for start in range(0, length, seq_length - 2):
                piece = [number] * min(length - start, seq_length - 2)
                if len(row) + len(piece) > seq_length - 2:
                    expected.append(row)
                    row = []
                row = row + piece
        expected.append(row)
    assert packed == expected


def test_a_row_is_framed_and_padded(store_of_lengths: StoreOf) -> None:
    rows = single(store_of_lengths([[3, 2], [1, 1]]), seq_length=9).in_order(0, 5)
    words = [FIRST_WORD + n for n in (0, 0, 0, 1, 1)]
    assert rows.input_ids.tolist() == [
        [CLS, *words, SEP, PAD, PAD],
        [CLS, FIRST_WORD + 2, FIRST_WORD + 3, SEP, *[PAD] * 5],
    ]
    assert rows.attention_mask.sum(axis=1).tolist() == [7, 4]
    assert np.flatnonzero(rows.special_tokens_mask[0]).tolist() == [0, 6, 7, 8]
    assert not rows.token_type_ids.any()
    assert rows.pair_label is None
    types = rows.input_ids.dtype, rows.token_type_ids.dtype, rows.attention_mask.dtype
    assert types == (np.int64, np.int64, np.bool_)


def test_only_the_chosen_documents_are_read(store_of_lengths: StoreOf) -> None:
    store = store_of_lengths(LENGTHS)
    chosen = np.array([1, 3, 4])
    packed = content(everything(single(store, documents=chosen)))
    sentences = {FIRST_WORD + n for n in (4, 12, 13, 14, 15, 16, 17)}
    assert {token for row in packed for token in row} == sentences
    assert sum(map(len, packed)) == 1 + 33 + 29


def test_the_stream_is_a_fresh_order_of_the_same_rows_every_epoch(
    store_of_lengths: StoreOf,
) -> None:
    examples = single(store_of_lengths(LENGTHS))
    size = len(examples)
    in_order = sorted(content(everything(examples)))
    epochs = [content(examples.rows(epoch * size, size)) for epoch in range(4)]
    assert all(sorted(epoch) == in_order for epoch in epochs)
    assert len({str(epoch) for epoch in epochs}) == 4


@given(st.integers(0, 500), st.integers(1, 30), st.integers(1, 30))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
def test_a_position_holds_the_same_row_however_it_is_reached(
    store_of_lengths: StoreOf, first: int, above: int, below: int
) -> None:
    store = store_of_lengths(LENGTHS)
    whole = single(store).rows(first, above + below)
    later = single(store)
    later.rows(900, 3)  # what was read before does not matter
    upper, lower = later.rows(first, above), later.rows(first + above, below)
    np.testing.assert_array_equal(
        whole.input_ids, np.concatenate([upper.input_ids, lower.input_ids])
    )


def test_another_seed_is_another_order(store_of_lengths: StoreOf) -> None:
    store = store_of_lengths(LENGTHS)
    a, b = (content(single(store, seed=seed).rows(0, 11)) for seed in (0, 1))
    assert a != b


def test_in_order_ends_with_the_last_example(store_of_lengths: StoreOf) -> None:
    examples = single(store_of_lengths(LENGTHS))
    assert len(examples.in_order(len(examples) - 2, 7).input_ids) == 2


def test_no_document_is_refused(store_of_lengths: StoreOf) -> None:
    with pytest.raises(UserError, match="no document"):
        single(store_of_lengths(LENGTHS), documents=np.array([], dtype=np.int64))
