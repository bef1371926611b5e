"""The law of an arm's masking, and floors in a language that is too large to enumerate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from clozebox import MaskingConfig
from clozebox.config.settings import TokenizerSettings
from clozebox.data import TokenStore, TrainingText, prepare
from clozebox.evaluation import HeldOut
from clozebox.pretraining import Batch, MaskingStrategy, choose_exactly, only_targets
from clozebox_synthetic import HmmConfig
from clozebox_synthetic.choice import corruption_of
from clozebox_synthetic.floors import Floors
from clozebox_synthetic.inference import Arrangement, States
from clozebox_synthetic.language import Language
from clozebox_synthetic.rows import NOTHING, Places, numbering

LANGUAGE = HmmConfig(documents=1500, words=40, sentence_words=4)
LENGTH = LANGUAGE.sentences * LANGUAGE.sentence_words + 3


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


class Reused(MaskingConfig):
    """The numbers that choose a token also decide what becomes of it."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        class Strategy(MaskingStrategy):
            def choose(self, batch: Batch, rate: float) -> torch.Tensor:
                return choose_exactly(batch.bits("corruption"), batch, rate)

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
        (Reused(), False),
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
        Lowest(rate=0.4, corruption_rate=0.2, mask_share=0.4, random_share=0.4),
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
