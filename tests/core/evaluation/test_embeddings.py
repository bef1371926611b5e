"""A contextual vector is what the encoder makes of its text alone, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from clozebox.errors import UserError
from clozebox.evaluation.embeddings import (
    Spot,
    Text,
    cosines,
    embed,
    occurrences,
    pooled,
    reading_of,
    texts_of,
)
from clozebox.model import Attention
from clozebox.testing.bench import Bench
from clozebox.training.console import Console
from clozebox.training.setup import Training, set_up

CPU = torch.device("cpu")
TEXTS = ["bodo lane.", "ro", "Matobe ka dolemi, matobe!", "le mi ka"]


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@pytest.fixture
def ready(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    def make(*objectives: str, **changes: Any) -> Training:
        masking = {} if "hidden" in objectives else {"masking": "none"}
        run = make_run(objectives=list(objectives), **masking, **changes)
        return set_up(run, registry, Console().say)

    return make


def read(bench: Bench, *texts: str) -> list[Text]:
    return texts_of(bench.store, texts, positions=64)


@pytest.mark.parametrize("reading", ["bidirectional", "causal", "anticausal"])
def test_vectors_are_those_of_each_text_alone(bench: Bench, reading: Any) -> None:
    model = bench.model([]).eval()
    texts = read(bench, *TEXTS)
    spots = [spot for text in texts for spot in pooled(text, "token", bench.store)]
    found = embed(model, spots, [0, 1, 2], reading, CPU)
    assert found.shape == (sum(len(text.ids) for text in texts), 3, 32)
    row = 0
    for text in texts:
        ids = torch.tensor([[bench.vocabulary.cls_id, *text.ids, bench.vocabulary.sep_id]])
        with torch.no_grad():
            embedded = model.embedding(ids, torch.zeros_like(ids))
            attention = Attention(torch.ones_like(ids, dtype=torch.bool), reading)
            states = model.encoder.hidden_states(embedded, attention)
            assert torch.equal(states[-1], model.encoder(embedded, attention))
        for column in range(1, len(text.ids) + 1):
            alone = torch.stack([layer[0, column] for layer in states])
            assert found[row] == pytest.approx(alone.numpy(), abs=1e-6)
            row += 1


def test_rows_are_tokens_or_cls_or_the_mean_of_the_tokens(bench: Bench) -> None:
    model = bench.model([]).eval()
    [text] = read(bench, "bodo [MASK] lane.")
    rows = {pool: pooled(text, pool, bench.store) for pool in ("token", "cls", "mean")}
    tokens = [spot.label for spot in rows["token"]]
    assert "[MASK]" in text.tokens
    assert "[MASK]" not in tokens
    assert tokens == [token for token in text.tokens if not token.startswith("[")]
    vectors = {pool: embed(model, spots, [2], "bidirectional", CPU) for pool, spots in rows.items()}
    assert vectors["mean"][0] == pytest.approx(vectors["token"].mean(axis=0), abs=1e-6)
    everything = Spot(text, "all", list(range(len(text.tokens))))
    each = [replace(everything, columns=[column]) for column in everything.columns]
    states = embed(model, each, [2], "bidirectional", CPU)
    assert np.array_equal(vectors["cls"][0], states[0])


def found_in(store: Any, word: str, *texts: str) -> list[tuple[str, str]]:
    """Label and pieces of each place."""
    read = texts_of(store, texts, positions=64)
    return [
        (spot.label, "".join(_written(spot.text.tokens[column]) for column in spot.columns))
        for spot in occurrences(read, word, store)
    ]


def _written(token: str) -> str:
    return token.removeprefix("##").removeprefix("\u0120")


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_a_word_is_all_of_its_pieces_wherever_it_stands(kind: Any) -> None:
    bench = Bench(tokenizer=kind)
    texts = ["matobe ka.", "ka (matobe)", "lematobe matobe, matobe", "ro matobe"]
    found = found_in(bench.store, "matobe", *texts)
    assert found == [(label, "matobe") for label in ("1", "2", "3a", "3b", "4")]


def test_case_matters_where_it_does_to_the_tokenizer(bench: Bench) -> None:
    found = found_in(bench.store, "Matobe", "matobe ka", "ka MATOBE")
    assert found == [("1", "matobe"), ("2", "matobe")]
    cased = Tokenizer(models.WordLevel({"[UNK]": 0, "ka": 1, "Ka": 2}, unk_token="[UNK]"))
    cased.pre_tokenizer = pre_tokenizers.Whitespace()
    store = SimpleNamespace(tokenizer=lambda: cased)
    assert found_in(store, "Ka", "ka Ka") == [("1", "Ka")]
    with pytest.raises(UserError, match="text 1, 'ka', does not hold 'Ka'"):
        found_in(store, "Ka", "ka")


def test_several_words_in_a_row_are_found(bench: Bench) -> None:
    assert found_in(bench.store, "ka le", "ro ka le.", "ka le") == [("1", "kale"), ("2", "kale")]


def test_every_text_without_the_word_is_named(bench: Bench) -> None:
    with pytest.raises(UserError) as refused:
        found_in(bench.store, "mato", "matobe ka", "ro mato", "le")
    told = str(refused.value)
    assert "text 1, 'matobe ka', does not hold 'mato'" in told
    assert "text 3, 'le'" in told
    assert "text 2" not in told


def test_texts_that_cannot_be_read_are_all_named(bench: Bench) -> None:
    with pytest.raises(UserError) as refused:
        texts_of(bench.store, ["ka", " ", "ka " * 70, ""], positions=64)
    told = str(refused.value).splitlines()
    assert told == [
        "text 2, ' ', has no token",
        "text 3 has 72 tokens; the model reads 64",
        "text 4, '', has no token",
    ]


@pytest.mark.parametrize(
    ("objectives", "reading"),
    [
        (["hidden"], "bidirectional"),
        (["ahead"], "causal"),
        (["behind"], "anticausal"),
        (["behind", "ahead"], "anticausal"),
        (["ahead", "hidden"], "bidirectional"),
        (["ahead", "pair"], "bidirectional"),
    ],
)
def test_a_text_is_read_as_the_model_learned_to(
    ready: Callable[..., Training], objectives: list[str], reading: str
) -> None:
    training = ready(*objectives)
    assert reading_of(training.model, training.batches(0)[0].take(np.arange(1))) == reading


def test_cosine_similarity_is_that_of_the_angle() -> None:
    vectors = np.array([[[3.0, 4.0]], [[4.0, 3.0]], [[-3.0, -4.0]], [[0.0, 0.0]]], dtype=np.float32)
    found = cosines(vectors)
    assert found.shape == (4, 4, 1)
    assert found[0, :, 0] == pytest.approx([1, 0.96, -1, 0])
