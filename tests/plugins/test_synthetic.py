"""The made-up language as a corpus, and its floors on the rows that arms are judged by."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clozebox.errors import UserError
from clozebox.pretraining import Batch, View
from clozebox.testing import assert_passes
from clozebox.training.console import Console
from clozebox.training.run import run_training
from clozebox_synthetic import HmmConfig
from clozebox_synthetic.excess import Measured
from clozebox_synthetic.floors import Floor
from clozebox_synthetic.language import Language, words_of
from clozebox_synthetic.rows import numbering

LANGUAGE = HmmConfig(documents=1500, words=40, sentence_words=4)
LENGTH = LANGUAGE.sentences * LANGUAGE.sentence_words + 3
CORPUS = {"name": "hmm", "documents": 400, "words": 40, "sentence_words": 4}
SETTINGS: dict[str, Any] = {
    "corpus": CORPUS,
    "tokenizer": {"vocab_size": 600},
    "evaluations": ["floor"],
    "evaluation": {"floor": {"sequences": 40}},
    "train": {"seq_length": LENGTH},
    "budget": {"steps": 2},
}


TINY = {
    "topics": 2,
    "kinds": 2,
    "states": 4,
    "words": 30,
    "sentences": 3,
    "sentence_words": 4,
}
NO_DROPOUT = {"name": "bert", "hidden_dropout_prob": 0.0}


def test_they_keep_the_contracts_of_their_kinds() -> None:
    assert_passes("hmm", {"documents": 60})
    assert_passes("floor")


def test_the_language_and_its_text_are_functions_of_the_settings() -> None:
    def told(**changes: Any) -> list[list[str]]:
        corpus = HmmConfig(documents=30, **changes).build()
        return [list(document) for document in corpus.documents()]

    assert told() == told()
    assert told(seed=1) != told()
    assert [[len(one.split()) for one in document] for document in told()] == [[6] * 4] * 30
    longer = HmmConfig(documents=40).build().documents()
    assert [list(document) for document in longer][:30] == told()


def test_words_are_distinct() -> None:
    words = words_of(HmmConfig(words=2500))
    assert len(set(words)) == 2500


def test_the_text_follows_the_law_of_the_language() -> None:
    """Pairs of first words of neighbouring sentences: kinds, starts and emissions all matter."""
    language = Language.of(LANGUAGE)
    texts = language.texts(5, 20_000)
    start = language.start @ language.emission  # (K, V)
    expected = start.T @ language.following @ start / language.kinds  # (V, V)
    first, second = texts[:, :-1, 0].ravel(), texts[:, 1:, 0].ravel()
    seen = np.zeros_like(expected)
    np.add.at(seen, (first, second), 1.0)
    spread = np.sqrt(expected * (1 - expected) / len(first))
    # Overlapping pairs are a little dependent: a third more than five deviations.
    assert (abs(seen / len(first) - expected) < 7 * spread + 1e-4).all()


def arm_result(make_run: Callable[..., Any], registry: Any, **changes: Any) -> dict[str, float]:
    settings = {**SETTINGS, **changes}
    settings["train"] = {**SETTINGS["train"], **changes.get("train", {})}
    run = make_run(**settings)
    assert run_training(run, registry, Console()) == 0
    result: dict[str, float] = run.status()["result"]
    return result


@pytest.mark.parametrize(
    ("objectives", "masking", "known"),
    [
        (["mlm"], "token", ["mlm"]),
        (["mntp"], "token", ["mntp"]),
        (["mlm", "sbo"], "token", ["mlm", "sbo"]),
        (["ar_forward"], "none", ["ar_forward"]),
        (["ar_backward"], "none", ["ar_backward"]),
        (["prefix_lm"], "none", ["prefix_lm"]),
        (["mlm", "ar_forward"], "token", ["mlm", "ar_forward"]),
        (["mlm", "nsp"], "token", ["mlm", "nsp"]),
        (["sop", "mlm"], "token", ["sop", "mlm"]),
        (["rtd"], "token", []),
        (["electric"], "none", []),
        (["ar_forward", "nsp"], "none", ["nsp"]),
    ],
    ids=str,
)
def test_every_objective_whose_floor_is_known_gets_one(
    make_run: Callable[..., Any],
    registry: Any,
    objectives: list[str],
    masking: str,
    known: list[str],
) -> None:
    result = arm_result(make_run, registry, objectives=objectives, masking={"name": masking})
    assert [name for name in objectives if f"eval/{name}_floor" in result] == known
    for name in known:
        assert 0 < result[f"eval/{name}_floor"] < 4
        assert result[f"eval/{name}_excess"] > 0.02
    assert ("eval/excess" in result) == bool(known)
    if known:
        assert result["eval/excess"] == result[f"eval/{known[0]}_excess"]
    fills_in = any(name not in ("nsp", "sop", "rtd", "electric") for name in objectives)
    assert ("eval/cloze_floor" in result) == fills_in
    assert ("eval/nsp_error_floor" in result) == ("nsp" in objectives)


def test_the_two_directions_share_one_floor_and_no_reading_has_a_lower_one_than_both_sides(
    make_run: Callable[..., Any], registry: Any
) -> None:
    results = {
        name: arm_result(
            make_run, registry, name=name, objectives=[name], masking={"name": masking}
        )
        for name, masking in [
            ("ar_forward", "none"),
            ("ar_backward", "none"),
            ("mlm", "token"),
            ("mntp", "token"),
        ]
    }
    floors = {name: result[f"eval/{name}_floor"] for name, result in results.items()}
    assert floors["ar_forward"] == pytest.approx(floors["ar_backward"], abs=1e-9)
    assert floors["mntp"] == pytest.approx(floors["mlm"], abs=1e-12)  # the same tokens
    cloze = {name: result["eval/cloze_floor"] for name, result in results.items()}
    assert cloze["mlm"] < min(cloze["ar_forward"], cloze["ar_backward"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": {"seq_length": LENGTH + 1}}, rf"set train\.seq_length = {LENGTH} \(it is"),
        ({"tokenizer": {"vocab_size": 64}}, r"of the 40 words are not one token each.*= 540"),
    ],
    ids=["row", "tokens"],
)
def test_rows_that_the_theory_does_not_know_are_refused(
    make_run: Callable[..., Any], registry: Any, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        arm_result(make_run, registry, objectives=["mlm"], masking={"name": "token"}, **changes)


def test_another_corpus_has_no_floor(make_run: Callable[..., Any], registry: Any) -> None:
    run = make_run(evaluations=["floor"])
    assert run_training(run, registry, Console()) == 0
    assert run.status()["result"] == {}


def test_floors_are_worked_out_once_for_a_model(
    make_run: Callable[..., Any], registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*given: Any) -> Any:
        calls.append(given)
        return numbering(*given)

    monkeypatch.setattr("clozebox_synthetic.task.numbering", counted)
    train = {"evals": 4}
    arm_result(
        make_run,
        registry,
        objectives=["mlm"],
        masking={"name": "token"},
        train=train,
        budget={"steps": 4},
    )
    assert len(calls) == 1


def test_a_model_that_is_told_of_its_answers_is_caught_below_the_floor(
    make_run: Callable[..., Any], registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each segment says whether the next token's id is odd: one bit, which no floor allows for."""

    def told(self: Any, batch: Batch) -> View:
        view = batch.causal
        return replace(view, token_type_ids=view.labels.clamp(min=0) % 2)

    monkeypatch.setattr("clozebox_ar.objective.ForwardLanguageModel.view", told)
    run = make_run(
        size={"name": "toy", "hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128},
        embedding=NO_DROPOUT,
        corpus={"name": "hmm", **TINY, "documents": 2000},
        tokenizer={"vocab_size": 600},
        masking={"name": "none"},
        objectives=["ar_forward"],
        evaluations=["floor"],
        evaluation={"floor": {"sequences": 500}},
        budget={"steps": 60},
        train={"batch_size": 64, "seq_length": 15, "evals": 3, "held_out": 0.25},
        optim={"lr": 1e-2},
    )
    said = io.StringIO()
    assert run_training(run, registry, Console(said)) == 1
    status = run.status()
    assert status["state"] == "failed"
    caught = r"Leak: ar_forward_loss is 1\.\d+ nats a target, and cannot be below 2\.\d+: "
    assert re.match(caught, status["reason"])
    assert status["reason"] in said.getvalue()


@pytest.mark.parametrize(("below", "impossible"), [(0.079, False), (0.081, True)])
def test_what_is_below_counts_by_the_most_targets_of_a_row(below: float, impossible: bool) -> None:
    """1000 targets, 4 in a row: 20 nats are 0.08 a target."""
    assert Measured(Floor(1500.0, 1000, 4), 1.5 - below).impossible == impossible


@pytest.mark.parametrize("belief", [0.5, 0.6, 0.7, 0.9])
def test_an_honest_model_is_accused_no_oftener_than_stated(
    belief: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coins, of which the targets of a row all fall alike; at 2 nats that is seen in trials."""
    monkeypatch.setattr("clozebox_synthetic.excess.CERTAIN", 2.0)
    trials, rows, together = 20_000, 50, 8
    heads = np.random.default_rng(0).random((trials, rows)) < 0.5
    losses: Any = -np.where(heads, math.log(belief), math.log(1 - belief)).mean(1)  # (trials,)
    floor = Floor(rows * together * math.log(2), rows * together, together)
    accused = np.mean(Measured(floor, losses).impossible)
    assert accused <= math.exp(-2)
    assert (accused > 0.001) == (belief in (0.6, 0.7))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_tiny_model_comes_near_the_floor_and_never_below(
    make_run: Callable[..., Any], registry: Any
) -> None:
    run = make_run(
        size={"name": "toy", "hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128},
        embedding=NO_DROPOUT,
        encoder={**NO_DROPOUT, "layer_norm": "pre", "attention_probs_dropout_prob": 0.0},
        corpus={"name": "hmm", **TINY},
        tokenizer={"vocab_size": 600},
        masking={"name": "token", "rate": 0.3},
        objectives=["mlm"],
        evaluations=["floor"],
        evaluation={"floor": {"sequences": 1024}},
        budget={"steps": 500},
        train={"batch_size": 128, "seq_length": 15, "evals": 5, "held_out": 0.1},
        optim={"lr": 5e-3, "beta2": 0.98},
        speed={"threads": 1},
    )
    assert run_training(run, registry, Console()) == 0
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    excess = [line["eval/mlm_excess"] for line in lines if "eval/mlm_excess" in line]
    floor = run.status()["result"]["eval/mlm_floor"]
    assert len(excess) == 5 and min(excess) > 0
    assert excess[-1] < 0.05 * floor
    # That is near, measured by what context can tell at all: from word frequencies to the floor.
    assert 0.05 * floor < 0.15 * (nats_by_frequency() - floor)


def nats_by_frequency() -> float:
    counts = np.bincount(Language.of(HmmConfig(**TINY)).texts(0, 20_000).ravel())
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())
