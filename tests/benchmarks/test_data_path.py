"""The data costs next to nothing beside a step; see README.md for how little."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from tests.benchmarks import data_path

from clozebox.data import make_examples
from clozebox.testing.bench import BenchCorpus

pytest.importorskip("clozebox_masking")


def test_a_batch_takes_less_than_a_two_hundredth_of_a_tiny_step(tmp_path: Path) -> None:
    assert statistics.median(data_path.wait(tmp_path, rounds=1).ratios) < 0.005


def test_a_store_is_written_about_as_fast_as_the_tokenizer_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    documents = [*BenchCorpus().build().documents()]
    repeats = 1 + 200_000 // sum(len(sentence) for one in documents for sentence in one)
    stored = data_path.tokenising(documents * repeats, tmp_path, rounds=2)
    assert statistics.median(stored.ratios) < 1.6


def test_a_row_takes_as_long_from_a_store_ten_times_as_large(tmp_path: Path) -> None:
    """Twice as long is what the processor's cache may make of it."""
    found, weights = data_path.reading(tmp_path, rounds=3, times=10)
    assert statistics.median(found.ratios) < 2.5
    assert abs(weights["large"] / weights["small"] - 1) < 0.01


def test_the_random_store_is_read_as_any_other(tmp_path: Path) -> None:
    store = data_path.random_store(tmp_path / "store", tokens=5_000, vocabulary=100)
    assert 4_000 < store.num_tokens < 6_000
    documents = store.split(0.1).train
    rows = make_examples("pair", store, documents, 64, 0.1, seed=0).rows(0, 8)
    assert rows.input_ids.shape == (8, 64)
    assert rows.attention_mask.any(1).all()
