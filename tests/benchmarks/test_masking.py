"""Masking stays many times faster than Hugging Face's collator; see README.md for how many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.benchmarks import masking

from clozebox.data import make_examples
from clozebox.pretraining import IGNORE_INDEX, View

pytest.importorskip("clozebox_masking")


@pytest.fixture(scope="module")
def found() -> dict[str, list[float]]:
    pytest.importorskip("transformers")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = masking.timed(masking.subjects(), rounds=7)
    torch.set_num_threads(threads)
    return times


@pytest.mark.parametrize(
    ("ours", "peer", "least"),
    [
        (masking.TOKEN, masking.HF_TOKEN, 20),
        (masking.WHOLE_WORD, masking.HF_WHOLE_WORD, 20),
    ],
)
def test_masking_is_many_times_faster(
    found: dict[str, list[float]], ours: str, peer: str, least: float
) -> None:
    """Half of what was measured on a machine that had much else to do, or less."""
    assert masking.Ratio.of(found[peer], found[ours]).median > least


def test_what_is_compared_masks_alike() -> None:
    """Both hide 15 %, and neither hides a part of a word where it should not."""
    pytest.importorskip("transformers")
    made: dict[str, Any] = {name: subject() for name, subject in masking.subjects().items()}
    hidden = {
        name: (result.labels if isinstance(result, View) else result["labels"]) != IGNORE_INDEX
        for name, result in made.items()
    }
    rows = masking.full_rows()
    continues = torch.from_numpy(np.isin(rows.input_ids, masking.VOCABULARY.continuation_ids))
    joined = continues & ~torch.from_numpy(rows.special_tokens_mask).roll(1, 1)
    for name, labelled in hidden.items():
        assert labelled.shape == (masking.SEQUENCES, masking.LENGTH)
        assert abs(labelled.double().mean().item() - 0.15) < 0.03
        whole = torch.equal(labelled[joined], labelled.roll(1, 1)[joined])
        assert whole == (name in (masking.WHOLE_WORD, masking.HF_WHOLE_WORD))


def test_a_batch_from_the_store_is_masked(tmp_path: Path) -> None:
    store = masking.store_in(tmp_path)
    documents = np.arange(store.num_documents)
    examples = make_examples("single", store, documents, masking.LENGTH, short_seq_prob=0, seed=0)
    view: Any = masking.in_training("token", examples, store.vocabulary)()
    assert (view.labels != IGNORE_INDEX).any(1).all()
