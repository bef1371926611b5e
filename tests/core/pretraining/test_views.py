"""The usual views: what is shown, and what is to be predicted from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from clozebox.data import Rows, Vocabulary
from clozebox.pretraining import IGNORE_INDEX, Batch, labelled, only_targets

VOCABULARY = Vocabulary(40, 0, 1, 2, 3, 4, special_ids=(0, 1, 2, 3, 4))
X = IGNORE_INDEX


@pytest.fixture
def batch() -> Batch:
    ids = np.array([[2, 10, 11, 12, 3, 0, 0], [2, 20, 3, 21, 22, 23, 3]])
    special = np.isin(ids, VOCABULARY.special_ids)
    segments = np.array([[0] * 7, [0, 0, 0, 1, 1, 1, 1]])
    rows = Rows(ids, segments, ids != 0, special)
    return Batch.of(rows, VOCABULARY, None, seed=0, first=0)


def test_forward_reading_predicts_the_next_token_and_the_end(batch: Batch) -> None:
    assert batch.causal.labels.tolist() == [
        [10, 11, 12, 3, X, X, X],
        [20, 3, 21, 22, 23, 3, X],
    ]
    assert batch.causal.attention.kind == "causal"


def test_backward_reading_predicts_the_token_before_and_the_beginning(batch: Batch) -> None:
    assert batch.anticausal.labels.tolist() == [
        [X, 2, 10, 11, 12, X, X],
        [X, 2, 20, 3, 21, 22, 23],
    ]
    assert batch.anticausal.attention.kind == "anticausal"


def test_both_directions_predict_equally_many_tokens(batch: Batch) -> None:
    forward, backward = batch.causal.labels != X, batch.anticausal.labels != X
    assert torch.equal(forward.sum(1), backward.sum(1))


def test_one_sided_views_do_not_tell_segments_apart(batch: Batch) -> None:
    assert batch.plain.token_type_ids.any()
    assert not batch.causal.token_type_ids.any()
    assert not batch.anticausal.token_type_ids.any()


def test_a_view_is_made_once(batch: Batch) -> None:
    assert batch.causal is batch.causal
    assert batch.plain is batch.plain


def test_only_the_chosen_tokens_are_targets_of_a_cloze(batch: Batch) -> None:
    chosen = torch.zeros(2, 7, dtype=torch.bool)
    chosen[0, 2] = chosen[1, 1] = chosen[1, 5] = True
    truth = sorted(batch.input_ids[chosen].tolist())
    for view, step in ((batch.causal, +1), (batch.anticausal, -1)):
        labels = only_targets(view, chosen, step).labels
        assert sorted(labels[labels != X].tolist()) == truth
    hidden = batch.hide(chosen)
    assert sorted(hidden.labels[hidden.labels != X].tolist()) == truth
    assert (hidden.input_ids[chosen] == VOCABULARY.mask_id).all()


def test_labelled_rows_are_those_with_a_label(batch: Batch) -> None:
    hidden = torch.arange(2 * 7 * 5, dtype=torch.float32).view(2, 7, 5)
    states, labels = labelled(hidden, batch.causal)
    wanted = batch.causal.labels != X
    assert torch.equal(states, hidden[wanted])
    assert torch.equal(labels, batch.causal.labels[wanted])


PREFIX = torch.tensor([3, 0])


def test_a_prefix_is_shown_whole_and_what_follows_it_is_predicted(batch: Batch) -> None:
    view = batch.prefix(PREFIX)
    assert view.labels.tolist() == [
        [X, X, 12, 3, X, X, X],
        [20, 3, 21, 22, 23, 3, X],  # no prefix: as causal
    ]
    assert view.attention.kind == "prefix"
    assert torch.equal(view.input_ids, batch.input_ids)
    first, second = view.attention.pattern(2, 7).int().tolist()
    assert first[:5] == [[1, 1, 1, 0, 0, 0, 0]] * 3 + [[1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0]]
    assert second == torch.ones(7, 7).tril().int().tolist()


def test_a_prefix_of_everything_leaves_nothing_to_predict(batch: Batch) -> None:
    assert (batch.prefix(torch.tensor([5, 7])).labels == X).all()
    assert batch.prefix(torch.tensor([4, 6])).labels.tolist() == [
        [X, X, X, 3, X, X, X],
        [X, X, X, X, X, 3, X],
    ]


@pytest.fixture
def packed(batch: Batch) -> Batch:
    """Two documents in each row, each with its own [CLS] and [SEP], then padding."""
    ids = torch.tensor([[2, 10, 11, 3, 2, 12, 3, 0], [2, 20, 3, 2, 21, 22, 23, 3]])
    return replace(
        batch,
        input_ids=ids,
        token_type_ids=torch.zeros_like(ids),
        attention_mask=ids != 0,
        special_tokens_mask=torch.isin(ids, torch.tensor(VOCABULARY.special_ids)),
        document_ids=torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]]),
    )


def test_no_document_predicts_a_token_of_another(packed: Batch) -> None:
    assert packed.causal.labels.tolist() == [
        [10, 11, 3, X, 12, 3, X, X],
        [20, 3, X, 21, 22, 23, 3, X],
    ]
    assert packed.anticausal.labels.tolist() == [
        [X, 2, 10, 11, X, 2, 12, X],
        [X, 2, 20, X, 2, 21, 22, 23],
    ]
    assert packed.prefix(torch.tensor([2, 5])).labels.tolist() == [
        [X, 11, 3, X, 12, 3, X, X],
        [X, X, X, X, 22, 23, 3, X],
    ]


@pytest.mark.parametrize("name", ["plain", "causal", "anticausal", "prefix", "hide"])
def test_no_view_looks_from_one_document_into_another(packed: Batch, name: str) -> None:
    views = {
        "prefix": lambda: packed.prefix(torch.tensor([2, 5])),
        "hide": lambda: packed.hide(~packed.special_tokens_mask),
    }
    view = views.get(name, lambda: getattr(packed, name))()
    assert packed.document_ids is not None
    other = packed.document_ids[:, :, None] != packed.document_ids[:, None, :]  # (B, T, T)
    seen = view.attention.pattern(2, 8)
    assert not (seen & other).any()
    assert (seen & ~other).sum() > 2 * 8, "each looks at more than itself"
