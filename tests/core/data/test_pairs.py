from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from clozebox.data import Examples, Rows, TokenStore, make_examples, uniform
from clozebox.errors import UserError

StoreOf = Callable[[list[list[int]]], TokenStore]

PAD, CLS, SEP, FIRST_WORD = 0, 2, 3, 5
SEQ_LENGTH = 23


@pytest.fixture
def store(store_of_lengths: StoreOf) -> TokenStore:
    """37 documents of 1 to 19 sentences, each of 1 to 11 tokens, some longer than a row."""
    sizes = (uniform(1, "documents", 0, 37, 1)[:, 0] * 19 + 1).astype(int)
    lengths = (uniform(1, "sentences", 0, 37, 19) * 11 + 1).astype(int)
    lengths[5, :3] = 47
    return store_of_lengths([row[:size].tolist() for row, size in zip(lengths, sizes, strict=True)])


def pairs(store: TokenStore, **changes: Any) -> Examples[Any]:
    given = {"seq_length": SEQ_LENGTH, "short_seq_prob": 0.1, "seed": 0, **changes}
    documents = given.pop("documents", np.arange(store.num_documents))
    return make_examples(given.pop("kind", "pair"), store, documents, **given)


def parts(rows: Rows, index: int) -> list[np.ndarray[Any, Any]]:
    """The sentence numbers of A's tokens and of B's."""
    ids = rows.input_ids[index]
    content = ~rows.special_tokens_mask[index]
    segment = rows.token_type_ids[index]
    return [ids[content & (segment == part)] - FIRST_WORD for part in (0, 1)]


def document_of(store: TokenStore, sentences: np.ndarray[Any, Any]) -> set[int]:
    return set((np.searchsorted(store.document_offsets, sentences, side="right") - 1).tolist())


each_kind = pytest.mark.parametrize("kind", ["pair", "swapped_pair"])


@each_kind
def test_a_pair_is_framed_and_segmented(store: TokenStore, kind: str) -> None:
    rows = pairs(store, kind=kind).rows(0, 301)
    for ids, segment, mask, special in zip(
        rows.input_ids,
        rows.token_type_ids,
        rows.attention_mask,
        rows.special_tokens_mask,
        strict=True,
    ):
        middle, end = np.flatnonzero(ids == SEP)
        assert ids[0] == CLS
        assert middle > 1
        assert end > middle + 1
        assert np.flatnonzero(segment).tolist() == list(range(middle + 1, end + 1))
        assert np.flatnonzero(mask).tolist() == list(range(end + 1))
        assert (ids[end + 1 :] == PAD).all()
        assert np.flatnonzero(special).tolist() == [0, middle, *range(end, SEQ_LENGTH)]


def test_a_true_next_follows_and_a_random_one_is_of_another_document(store: TokenStore) -> None:
    rows = pairs(store).rows(0, 2000)
    assert rows.pair_label is not None
    for index, label in enumerate(rows.pair_label):
        a, b = parts(rows, index)
        (of_a,), (of_b,) = document_of(store, a), document_of(store, b)
        assert (of_a != of_b) == bool(label)
        if not label and len(a) + len(b) < SEQ_LENGTH - 3:  # neither part was cut
            assert b[0] == a[-1] + 1
        for part in (a, b):  # whole sentences, one after the other
            assert set(np.diff(part)) <= {0, 1}


def test_a_swapped_pair_is_two_consecutive_parts_of_one_text_in_either_order(
    store: TokenStore,
) -> None:
    rows = pairs(store, kind="swapped_pair").rows(0, 2000)
    assert rows.pair_label is not None
    uncut = np.zeros(2, dtype=int)
    for index, label in enumerate(rows.pair_label):
        a, b = parts(rows, index)
        assert document_of(store, a) == document_of(store, b)
        earlier, later = (b, a) if label else (a, b)
        assert earlier[-1] < later[0]
        if len(a) + len(b) < SEQ_LENGTH - 3:  # neither part was cut
            assert later[0] == earlier[-1] + 1
            uncut[label] += 1
        for part in (a, b):  # whole sentences, one after the other
            assert set(np.diff(part)) <= {0, 1}
    assert uncut.min() > 200


def test_half_of_the_swapped_pairs_are_exchanged_whatever_their_parts(store: TokenStore) -> None:
    rows = pairs(store, kind="swapped_pair").rows(0, 8000)
    assert rows.pair_label is not None
    assert 0.48 < rows.pair_label.mean() < 0.52
    begins, share = np.zeros(8000, dtype=int), np.zeros(8000)
    for index, label in enumerate(rows.pair_label):
        a, b = parts(rows, index)
        earlier = b if label else a
        begins[index], share[index] = earlier[0], len(earlier) / (len(a) + len(b))
    often = begins == np.bincount(begins).argmax()
    assert often.sum() > 60
    assert 0.35 < rows.pair_label[often].mean() < 0.65
    # Where the text was cut in two must not tell: that would be a length, and no language.
    assert abs(share[rows.pair_label == 0].mean() - share[rows.pair_label == 1].mean()) < 0.03


def test_a_lone_sentence_makes_no_swapped_pair_and_all_others_are_in_one(
    store: TokenStore,
) -> None:
    examples = pairs(store, kind="swapped_pair", seq_length=400, short_seq_prob=0.0)
    rows = examples.in_order(0, len(examples))  # a document is one chunk, and nothing is cut
    seen = [
        np.unique(np.concatenate(parts(rows, index))).tolist() for index in range(len(examples))
    ]
    sizes = np.diff(store.document_offsets)
    assert (sizes == 1).any()
    assert seen == [
        list(range(first, first + size))
        for first, size in zip(store.document_offsets, sizes, strict=False)
        if size > 1
    ]


def test_a_random_next_comes_from_every_other_document(store: TokenStore) -> None:
    rows = pairs(store).rows(0, 4000)
    assert rows.pair_label is not None
    chosen = [parts(rows, i)[1] for i in np.flatnonzero(rows.pair_label)]
    counts = np.bincount([document_of(store, b).pop() for b in chosen], minlength=37)
    assert counts.min() > 0.5 * counts.mean()
    assert counts.max() < 1.6 * counts.mean()


def test_more_than_half_are_random_for_a_lone_sentence_has_no_next(
    store: TokenStore, store_of_lengths: StoreOf
) -> None:
    label = pairs(store).rows(0, 4000).pair_label
    assert label is not None
    assert 0.52 < label.mean() < 0.75
    # Long documents leave hardly a lone sentence, and then it is a fair coin.
    long = pairs(store_of_lengths([[2] * 900, [1] * 1300])).rows(0, 4000).pair_label
    assert long is not None
    assert 0.47 < long.mean() < 0.54


def test_unused_sentences_start_the_next_pair(store: TokenStore) -> None:
    """Every sentence is in an A, or in the B that follows it: none is left out of an epoch."""
    examples = pairs(store, seq_length=400)  # nothing is cut
    rows = examples.in_order(0, len(examples))
    assert rows.pair_label is not None
    seen: list[int] = []
    for index, label in enumerate(rows.pair_label):
        a, b = parts(rows, index)
        seen += np.unique(a if label else np.concatenate([a, b])).tolist()
    assert seen == list(range(store.num_sentences))


@each_kind
def test_two_long_parts_share_the_room_evenly(store_of_lengths: StoreOf, kind: str) -> None:
    store = store_of_lengths([[1, 3, 17, 30, 2, 1, 1, 28], [20, 25, 4, 2, 33]])
    rows = pairs(store, kind=kind, seq_length=24, short_seq_prob=0.0).rows(0, 600)
    lengths = {tuple(len(part) for part in parts(rows, index)) for index in range(600)}
    assert (11, 10) in lengths
    assert all(a + b == 21 or max(a, b) <= 11 for a, b in lengths)


def test_a_part_is_cut_at_either_end_alike(store_of_lengths: StoreOf) -> None:
    rows = pairs(store_of_lengths([[2, 9, 8, 9], [1, 1]]), short_seq_prob=0.0).rows(0, 3000)
    assert rows.pair_label is not None
    cut = np.zeros(2)
    for index in np.flatnonzero(rows.pair_label == 0):
        a, b = parts(rows, index)
        if len(a) == 2 and a[0] == 0:  # B had 26 tokens, and 18 of them fit
            kept = np.bincount(b, minlength=4)[1:].tolist()
            assert kept in ([1, 8, 9], [9, 8, 1])
            cut[int(kept[0] == 9)] += 1
    assert cut.sum() > 100
    assert cut.min() / cut.max() > 0.7


@each_kind
def test_short_pairs_come_as_often_as_asked(store_of_lengths: StoreOf, kind: str) -> None:
    store = store_of_lengths([[1] * 40] * 150)
    for probability in (0.0, 1.0):
        examples = pairs(store, kind=kind, short_seq_prob=probability)
        lengths = examples.in_order(0, len(examples)).attention_mask.sum(axis=1)
        full = (lengths == SEQ_LENGTH).mean()
        assert (full > 0.5) == (probability == 0.0)
    sizes = [len(pairs(store, kind=kind, short_seq_prob=p)) for p in (0.0, 0.5, 1.0)]
    assert sizes == sorted(sizes)


@each_kind
def test_every_epoch_is_drawn_anew_and_has_one_length(store: TokenStore, kind: str) -> None:
    examples = pairs(store, kind=kind)
    size = len(examples)
    first = {str(row) for row in examples.rows(0, size).input_ids}
    second = {str(row) for row in examples.rows(size, size).input_ids}
    assert len(first & second) < 0.5 * size


@each_kind
def test_a_position_holds_the_same_pair_however_it_is_reached(store: TokenStore, kind: str) -> None:
    size = len(pairs(store, kind=kind))
    for first, count in ((0, 7), (size - 3, 9), (5 * size - 1, 2), (2 * size, 3 * size)):
        whole = pairs(store, kind=kind).rows(first, count)
        examples = pairs(store, kind=kind)
        halves = [examples.rows(first, 1), examples.rows(first + 1, count - 1)]
        for name in vars(whole):
            np.testing.assert_array_equal(
                getattr(whole, name), np.concatenate([getattr(half, name) for half in halves])
            )


@each_kind
def test_a_documents_chunks_do_not_depend_on_the_memory_bound(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    whole = pairs(store, kind=kind).rows(0, 200)
    monkeypatch.setattr("clozebox.data.pairs._SENTENCES_AT_ONCE", 17)
    np.testing.assert_array_equal(whole.input_ids, pairs(store, kind=kind).rows(0, 200).input_ids)


@each_kind
def test_another_seed_draws_other_pairs(store: TokenStore, kind: str) -> None:
    one, other = (pairs(store, kind=kind, seed=seed).rows(0, 50) for seed in (0, 1))
    assert (one.input_ids != other.input_ids).any(axis=1).mean() > 0.9


def test_no_negative_is_possible_with_one_document(store_of_lengths: StoreOf) -> None:
    with pytest.raises(UserError, match="two documents"):
        pairs(store_of_lengths([[3, 2, 4]]))


def test_one_document_is_enough_for_swapped_pairs(store_of_lengths: StoreOf) -> None:
    rows = pairs(store_of_lengths([[3, 2, 4]]), kind="swapped_pair", short_seq_prob=0.0).rows(0, 40)
    assert rows.pair_label is not None
    assert 0 < rows.pair_label.sum() < 40


@each_kind
def test_no_positive_is_possible_with_lone_sentences(store_of_lengths: StoreOf, kind: str) -> None:
    with pytest.raises(UserError, match="two sentences"):
        pairs(store_of_lengths([[3], [2], [5]]), kind=kind)


def test_no_swapped_pair_is_possible_where_every_sentence_fills_a_row(
    store_of_lengths: StoreOf,
) -> None:
    examples = pairs(store_of_lengths([[30, 40], [50, 20, 25]]), kind="swapped_pair")
    with pytest.raises(UserError, match="two sentences"):
        len(examples)


def test_no_pair_is_possible_without_documents(store: TokenStore) -> None:
    none = np.array([], dtype=np.int64)
    with pytest.raises(UserError, match="a document"):
        pairs(store, kind="swapped_pair", documents=none)
