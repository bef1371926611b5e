"""The made-up language as a corpus, and its floors on the rows that arms are judged by."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from clozebox import MaskingConfig
from clozebox.config.settings import TokenizerSettings
from clozebox.data import TokenStore, TrainingText, make_examples, prepare
from clozebox.errors import UserError
from clozebox.evaluation import HeldOut
from clozebox.pretraining import Batch, MaskingStrategy, choose_exactly, only_targets
from clozebox.testing import assert_passes
from clozebox.training.console import Console
from clozebox.training.run import run_training
from clozebox_synthetic import HmmConfig
from clozebox_synthetic.choice import corruption_of
from clozebox_synthetic.floors import Floors
from clozebox_synthetic.inference import Arrangement, States
from clozebox_synthetic.language import Language, words_of
from clozebox_synthetic.pairs import expected_pairs
from clozebox_synthetic.rows import NOTHING, Places, numbering

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


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return prepare(
        LANGUAGE, TokenizerSettings(vocab_size=600), tmp_path_factory.mktemp("synthetic")
    )


class Here:
    device = torch.device("cpu")


def held_out(store: TokenStore, masking: MaskingStrategy | None, kind: Any = "single") -> HeldOut:
    documents = np.arange(store.num_documents)
    return HeldOut(store, documents, LENGTH, 64, masking, Here(), kind, LANGUAGE)  # type: ignore[arg-type]


class Lowest(MaskingConfig):
    """The plain strategy, written anew: the plugin is to know strategies by what they do."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        class Strategy(MaskingStrategy):
            def choose(self, batch: Batch, rate: float) -> torch.Tensor:
                return choose_exactly(batch.uniform("mine"), batch, rate)

        return Strategy(self, text.vocabulary)


class RareFirst(MaskingConfig):
    """A choice by word."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        counts = torch.from_numpy(text.counts)

        class Strategy(MaskingStrategy):
            def choose(self, batch: Batch, rate: float) -> torch.Tensor:
                score = batch.uniform("mine") * counts[batch.input_ids]
                return choose_exactly(score, batch, rate)

        return Strategy(self, text.vocabulary)


class Neighbours(MaskingConfig):
    """A choice by place, but not every set of places is as likely: they stand in a row."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        class Strategy(MaskingStrategy):
            def choose(self, batch: Batch, rate: float) -> torch.Tensor:
                place = torch.arange(batch.input_ids.shape[1])
                start = batch.uniform("start")[:, :1] * 10
                return choose_exactly((place - start).abs(), batch, rate)

        return Strategy(self, text.vocabulary)


class OneFate(Lowest):
    """All chosen tokens of a row share their fate, as those of a span may."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        class Strategy(MaskingStrategy):
            def choose(self, batch: Batch, rate: float) -> torch.Tensor:
                return choose_exactly(batch.uniform("mine"), batch, rate)

            def fate(self, batch: Batch) -> torch.Tensor:
                return batch.uniform("fate")[:, :1].expand(batch.input_ids.shape)

        return Strategy(self, text.vocabulary)


def built(config: MaskingConfig, store: TokenStore) -> MaskingStrategy:
    return config.build(TrainingText(store, np.arange(store.num_documents)))


@pytest.mark.parametrize(
    ("config", "known"),
    [
        (Lowest(), True),
        (Lowest(rate=0.15, corruption_rate=0.3), True),
        (Lowest(mask_share=1.0, random_share=0.0), True),
        (RareFirst(), False),
        (RareFirst(mask_share=1.0, random_share=0.0), False),
        (Neighbours(), False),
        (Neighbours(mask_share=0.7, random_share=0.0), True),
        (OneFate(), False),
    ],
    ids=str,
)
def test_a_floor_is_stated_only_where_the_law_of_the_masking_is_known(
    store: TokenStore, config: MaskingConfig, known: bool
) -> None:
    batch = next(held_out(store, built(config, store)).batches(64))
    masked = (batch.masked.input_ids == batch.vocabulary.mask_id).sum(1).numpy()
    assert (corruption_of(batch, masked) is not None) == known


def test_what_became_of_tokens_is_read_off_the_settings(store: TokenStore) -> None:
    """Rows of 18 tokens, 16 of them words: 7 are predicted, of which 4 are corrupted."""
    masking = built(Lowest(rate=0.4, corruption_rate=0.2, mask_share=0.5, random_share=0.4), store)
    batch = next(held_out(store, masking).batches(4))
    found = corruption_of(batch, np.array([0, 1, 2, 3]))
    assert found is not None
    assert found.replaced == pytest.approx(0.4 / len(batch.vocabulary.ordinary_ids))
    assert found.kept == pytest.approx(0.1)
    assert found.hidden.tolist() == [4, 3, 2, 1]
    assert found.spared.tolist() == [3 / 12] * 4


@pytest.mark.parametrize("kind", ["causal", "anticausal"])
def test_the_first_word_that_is_read_costs_what_it_costs_without_context(
    store: TokenStore, kind: str
) -> None:
    language, numbers = Language.of(LANGUAGE), numbering(LANGUAGE, store, LENGTH)
    batch = next(held_out(store, None).batches(64))
    column = 1 if kind == "causal" else 16
    chosen = torch.zeros_like(batch.attention_mask)
    chosen[:, column] = True
    view = only_targets(getattr(batch, kind), chosen, step=1 if kind == "causal" else -1)
    found = Floors(LANGUAGE, numbers, "single", 0.1).of_tokens(view, batch)
    state = np.broadcast_to(language.start.mean(0), (language.topics, LANGUAGE.states))
    for _ in range(LANGUAGE.sentence_words - 1 if kind == "anticausal" else 0):
        state = np.einsum("zs,zst->zt", state, language.transition)
    law = state.mean(0) @ language.emission  # (V,)
    expected = -np.log(law[numbers[batch.input_ids[:, column].numpy()]])
    assert found is not None and found.targets == 64
    assert found.nats == pytest.approx(expected.sum(), abs=1e-9)


@pytest.mark.parametrize(
    "config",
    [
        Lowest(rate=0.3),
        Lowest(rate=0.4, mask_share=0.0, random_share=0.7),
        Lowest(rate=0.4, corruption_rate=0.2, mask_share=0.4, random_share=0.4),
        Lowest(rate=0.2, corruption_rate=0.4, mask_share=0.4, random_share=0.4),
    ],
    ids=str,
)
def test_masked_floors_are_calibrated_on_real_rows(
    store: TokenStore, config: MaskingConfig
) -> None:
    """If what is said of a word is its true probability, the loss is the entropy on average."""
    language, numbers = Language.of(LANGUAGE), numbering(LANGUAGE, store, LENGTH)
    surplus = []
    for batch in held_out(store, built(config, store)).batches(1024):
        places = Places.of(batch, LANGUAGE)
        shown, word = (
            places.words(ids.numpy(), numbers) for ids in (batch.masked.input_ids, batch.input_ids)
        )
        corruption = corruption_of(batch, (shown == NOTHING).sum((1, 2)))
        assert corruption is not None
        evidence = corruption.evidence(language, shown)
        joined = Arrangement.joined(*places.real.shape)
        states = States.of(language, evidence, evidence).posterior(joined)
        with np.errstate(divide="ignore", invalid="ignore"):
            nats = np.stack(
                [
                    corruption.nats(states, language, shown, np.full_like(word, other))
                    for other in range(language.emission.shape[1])
                ],
                axis=-1,
            )  # (B, J, W, V)
        labelled = (batch.masked.labels != -100).numpy()
        asked = labelled[np.arange(len(labelled))[:, None, None], places.column]  # (B, J, W)
        chances = np.exp(-nats[asked])  # (M, V)
        np.testing.assert_allclose(chances.sum(1), 1, atol=1e-9)
        entropy = -(chances * np.log(np.maximum(chances, 1e-300))).sum(1)  # (M,)
        own = corruption.nats(states, language, shown, word)[asked]
        surplus.append(own - entropy)
    each = np.concatenate(surplus)
    assert abs(each.mean()) < 4 * each.std() / math.sqrt(len(each))


@pytest.mark.parametrize("kind", ["pair", "swapped_pair"])
@pytest.mark.parametrize("short", [0.1, 0.8])
def test_pairs_are_cut_as_often_as_expected(store: TokenStore, kind: Any, short: float) -> None:
    documents = np.arange(store.num_documents)
    examples = make_examples(kind, store, documents, LENGTH, short, seed=2)
    rows = examples.rows(0, len(examples))
    assert rows.pair_label is not None
    width, count = LANGUAGE.sentence_words, LANGUAGE.sentences
    second = (rows.token_type_ids.sum(1) - 1) // width
    first = (rows.attention_mask.sum(1) - 3) // width - second
    seen = np.zeros((2, count + 1, count + 1))
    np.add.at(seen, (rows.pair_label, first, second), 1)
    expected = expected_pairs(kind, count, width, short) * len(documents)
    assert seen[expected == 0].sum() == 0
    assert (abs(seen - expected) <= 4.5 * np.sqrt(expected) + 1e-9).all()


@pytest.mark.parametrize("kind", ["pair", "swapped_pair"])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_pair_floors_are_calibrated_on_real_rows(
    store: TokenStore, kind: Any, masked: bool
) -> None:
    masking = built(Lowest(rate=0.3), store) if masked else None
    numbers = numbering(LANGUAGE, store, LENGTH)
    floors = Floors(LANGUAGE, numbers, kind, short_seq_prob=0.1)
    surplus, errors, count = [], 0.0, 0
    for batch in held_out(store, masking, kind).batches(2048, own=True):
        chance = floors.chances(batch.masked if masked else batch.plain, batch)
        assert chance is not None and batch.pair_label is not None
        entropy = -(chance * np.log(chance)).sum(1)
        own = -np.log(chance[np.arange(len(chance)), batch.pair_label.numpy()])
        surplus.append(own - entropy)
        errors += (chance.argmax(1) != batch.pair_label.numpy()).sum()
        count += len(own)
    each = np.concatenate(surplus)
    assert abs(each.mean()) < 4 * each.std() / math.sqrt(len(each))
    assert 0.05 < errors / count < 0.4  # neither trivial nor out of reach


def test_tokens_of_pairs_have_a_floor(store: TokenStore) -> None:
    masking = built(Lowest(rate=0.3, mask_share=1.0, random_share=0.0), store)
    numbers = numbering(LANGUAGE, store, LENGTH)
    floors = Floors(LANGUAGE, numbers, "pair", short_seq_prob=0.1)
    batches = list(held_out(store, masking, "pair").batches(512, own=True))
    found = [floors.of_tokens(batch.masked, batch) for batch in batches]
    nats = sum(one.nats for one in found if one is not None)
    targets = sum(one.targets for one in found if one is not None)
    assert all(one is not None for one in found) and 1 < nats / targets < math.log(40)


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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_tiny_model_comes_near_the_floor_and_never_below(
    make_run: Callable[..., Any], registry: Any
) -> None:
    run = make_run(
        size={
            "name": "toy",
            "hidden_size": 64,
            "num_attention_heads": 4,
            "intermediate_size": 256,
        },
        embedding={"name": "bert", "hidden_dropout_prob": 0.0},
        encoder={
            "name": "bert",
            "layer_norm": "pre",
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        corpus={"name": "hmm"},
        tokenizer={"vocab_size": 600},
        masking={"name": "token", "rate": 0.3},
        objectives=["mlm"],
        evaluations=["floor"],
        evaluation={"floor": {"sequences": 512}},
        budget={"steps": 800},
        train={"batch_size": 64, "seq_length": 27, "evals": 8, "held_out": 0.05},
        optim={"lr": 1e-2, "beta2": 0.98},
        speed={"threads": 1},
    )
    assert run_training(run, registry, Console()) == 0
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    excess = [line["eval/mlm_excess"] for line in lines if "eval/mlm_excess" in line]
    assert len(excess) == 8 and min(excess) > 0
    assert excess[-1] < 0.05 * run.status()["result"]["eval/mlm_floor"]
