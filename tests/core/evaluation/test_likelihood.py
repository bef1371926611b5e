"""The likelihood of a sentence is what plain loops over one token at a time say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from clozebox import ObjectiveConfig, TokenObjectiveConfig
from clozebox.evaluation import sentence_scores, speaker, token_scores
from clozebox.evaluation.likelihood import later_pieces
from clozebox.evaluation.sentences import framed, groups
from clozebox.model import Attention
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    Objective,
    PretrainingModel,
    TokenObjective,
    View,
    labels_of,
    only_targets,
)
from clozebox.testing.bench import Bench

CPU = torch.device("cpu")
Sentences = list[list[int]]


def hidden_at_its_place(batch: Batch, chosen: Tensor) -> View:
    return batch.hide(chosen)


def hidden_and_read_before(batch: Batch, chosen: Tensor) -> View:
    view = batch.hide(chosen)
    return replace(view, labels=view.labels.roll(-1, 1))


def from_the_left(batch: Batch, chosen: Tensor) -> View:
    return only_targets(batch.causal, chosen, step=+1)


def from_the_right(batch: Batch, chosen: Tensor) -> View:
    return only_targets(batch.anticausal, chosen, step=-1)


def after_a_prefix(batch: Batch, chosen: Tensor) -> View:
    return only_targets(batch.prefix(chosen.byte().argmax(1)), chosen, step=+1)


def of_all_but_the_first(batch: Batch, chosen: Tensor) -> View:
    return batch.hide(chosen & (chosen.cumsum(1) > 1))


def filling_in(way: Callable[[Batch, Tensor], View]) -> ObjectiveConfig:
    class Config(TokenObjectiveConfig):
        name: ClassVar[str] = way.__name__

        def build(self, context: Any) -> Objective:
            class Filling(TokenObjective):
                def view(self, batch: Batch) -> View:
                    return batch.causal

                def cloze(self, batch: Batch, chosen: Tensor) -> View:
                    return way(batch, chosen)

            return Filling(self, context)

    return Config()


class OfSentences(ObjectiveConfig):
    """Fills in nothing."""

    name: ClassVar[str] = "of_sentences"

    def build(self, context: Any) -> Objective:
        class Silent(Objective):
            def view(self, batch: Batch) -> View:
                return batch.plain

            def targets(self, batch: Batch) -> Any:
                return labels_of(self, batch, classes=2)

            def forward(self, hidden: Tensor, view: View) -> Any:
                raise NotImplementedError

        return Silent()


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def model_of(bench: Bench, way: Callable[[Batch, Tensor], View]) -> PretrainingModel:
    """In double precision, where 1e-9 is no rounding."""
    return bench.model([filling_in(way)]).eval()


@pytest.fixture(scope="module")
def sentences(bench: Bench) -> Sentences:
    """Of many lengths, among them one token, and with words of several pieces."""
    encoded = bench.store.tokenizer().encode_batch(
        ["", "bo", "bodo lane.", "matobe ka dolemi", "ro ro ro", "tekamo lanero bodobe mi ka le."],
        add_special_tokens=False,
    )
    found = [one.ids for one in encoded]
    pieces = set(bench.vocabulary.continuation_ids)
    assert sum(len(pieces & set(one)) > 1 for one in found) >= 2
    return found


def scored(model: PretrainingModel, sentences: Sentences, **how: Any) -> list[np.ndarray]:
    objective = speaker(model, CPU)
    assert objective is not None
    return token_scores(model, objective, sentences, CPU, **how)


def log_probability(
    model: PretrainingModel, row: Sequence[int], attention: Attention, read_at: int, token: int
) -> float:
    """One sequence through the encoder, one state through the head."""
    ids = torch.tensor([row])
    view = View(ids, torch.zeros_like(ids), attention, torch.full_like(ids, IGNORE_INDEX))
    with torch.no_grad():
        state = model.encode(view)[0, read_at]
        logits = model.each_objective()[0].head(state[None])[0]  # type: ignore[operator,union-attr]
    return float(logits[token] - logits.logsumexp(0))


def read_alone(
    model: PretrainingModel, sentence: Sequence[int], way: Callable[..., View], within_word: bool
) -> list[float]:
    """Every token of a sentence, each asked for by itself."""
    vocabulary, found = model.vocabulary, []
    whole = [vocabulary.cls_id, *sentence, vocabulary.sep_id]
    real = torch.ones(1, len(whole), dtype=torch.bool)
    for column, token in enumerate(sentence, start=1):
        row, read_at, attention = list(whole), column, Attention(real)
        if way is from_the_left:
            read_at, attention = column - 1, Attention(real, "causal")
        elif way is from_the_right:
            read_at, attention = column + 1, Attention(real, "anticausal")
        elif way is after_a_prefix:
            before = torch.tensor([column])
            read_at, attention = column - 1, Attention(real, "prefix", prefix_length=before)
        else:
            read_at = column - 1 if way is hidden_and_read_before else column
            end = column + 1
            while within_word and whole[end] in vocabulary.continuation_ids:
                end += 1
            row[column:end] = [vocabulary.mask_id] * (end - column)
        found.append(log_probability(model, row, attention, read_at, token))
    return found


@pytest.mark.parametrize("scoring", ["pll", "pll_within_word"])
@pytest.mark.parametrize(
    "way",
    [hidden_at_its_place, hidden_and_read_before, from_the_left, from_the_right, after_a_prefix],
)
def test_every_token_is_as_likely_as_when_it_is_asked_for_alone(
    bench: Bench, sentences: Sentences, way: Callable[..., View], scoring: Any
) -> None:
    model = model_of(bench, way)
    found = scored(model, sentences, scoring=scoring)
    for sentence, score in zip(sentences, found, strict=True):
        alone = read_alone(model, sentence, way, scoring == "pll_within_word")
        assert score == pytest.approx(alone, abs=1e-9)


def test_single_precision_agrees_to_five_places(bench: Bench, sentences: Sentences) -> None:
    model = model_of(bench, hidden_at_its_place).float()
    objective = speaker(model, CPU)
    assert objective is not None
    for scoring in ("pll", "pll_within_word"):
        found = sentence_scores(model, objective, sentences, CPU, scoring)  # type: ignore[arg-type]
        alone = [
            sum(read_alone(model, one, hidden_at_its_place, scoring == "pll_within_word"))
            for one in sentences
        ]
        assert found == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("way", [hidden_at_its_place, from_the_left, from_the_right])
def test_the_size_of_the_batches_makes_no_difference(
    bench: Bench, sentences: Sentences, way: Callable[..., View]
) -> None:
    model = model_of(bench, way).float()
    whole = np.concatenate(scored(model, sentences))
    for tokens in (1, 30, 70):
        cut = np.concatenate(scored(model, sentences, tokens=tokens))
        assert cut == pytest.approx(whole, abs=1e-6)


def test_the_order_of_the_sentences_makes_no_difference(bench: Bench, sentences: Sentences) -> None:
    model = model_of(bench, hidden_at_its_place)
    turned = scored(model, sentences[::-1])[::-1]
    for one, other in zip(scored(model, sentences), turned, strict=True):
        assert one == pytest.approx(other, abs=1e-9)


def views_of(
    model: PretrainingModel, monkeypatch: pytest.MonkeyPatch, sentences: Sentences, **how: Any
) -> list[View]:
    """What the encoder is shown while they are scored."""
    seen: list[View] = []
    plain = model.encode
    monkeypatch.setattr(
        model, "encode", lambda view, read=None: seen.append(view) or plain(view, read)
    )
    scored(model, sentences, **how)
    return seen


@pytest.mark.parametrize(
    ("scoring", "columns"),
    [
        ("pll", [[1], [2], [3], [4], [5]]),
        ("pll_within_word", [[1], [2, 3, 4], [3, 4], [4], [5]]),
    ],
)
def test_hidden_are_the_token_and_in_the_corrected_form_the_later_pieces_of_its_word(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, scoring: str, columns: list[list[int]]
) -> None:
    pieces, vocabulary = bench.vocabulary.continuation_ids, bench.vocabulary
    begins = [int(i) for i in vocabulary.ordinary_ids if i not in pieces]
    # One word, then one of three pieces, then one of one.
    sentence = [begins[0], begins[1], pieces[0], pieces[1], begins[2]]
    model = model_of(bench, hidden_at_its_place)
    views = views_of(model, monkeypatch, [sentence], scoring=scoring)
    shown = [row for view in views for row in view.input_ids]
    hidden = [(row == vocabulary.mask_id).nonzero().flatten().tolist() for row in shown]
    assert hidden == columns
    asked = [row.tolist() for view in views for row in view.labels]
    for column, labels in enumerate(asked, start=1):
        assert [i for i, label in enumerate(labels) if label != IGNORE_INDEX] == [column]


def test_a_word_ends_at_a_special_token(bench: Bench) -> None:
    vocabulary = bench.vocabulary
    piece, sep = vocabulary.continuation_ids[0], vocabulary.sep_id
    rows = framed([[piece, piece, sep, piece, piece]], vocabulary)
    later = [later_pieces(rows, np.array([column]), vocabulary)[0] for column in (1, 2, 4)]
    assert [np.flatnonzero(one).tolist() for one in later] == [[2], [], [5]]


@pytest.mark.parametrize("way", [hidden_at_its_place, from_the_left, from_the_right])
def test_special_tokens_are_never_scored_but_an_unknown_word_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, way: Callable[..., View]
) -> None:
    vocabulary = bench.vocabulary
    word = int(vocabulary.ordinary_ids[-1])
    sentence = [word, vocabulary.mask_id, vocabulary.unk_id, vocabulary.sep_id, word]
    model = model_of(bench, way)
    views = views_of(model, monkeypatch, [sentence, [word]])
    labels = torch.cat([view.labels.flatten() for view in views])
    assert sorted(set(labels.tolist())) == sorted({IGNORE_INDEX, vocabulary.unk_id, word})
    [score, _] = scored(model, [sentence, [word]])
    assert [number != 0 for number in score] == [True, False, True, False, True]


@pytest.mark.parametrize("way", [from_the_left, from_the_right, hidden_at_its_place])
def test_one_side_takes_one_pass_and_both_sides_one_for_each_token(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, sentences: Sentences, way: Callable[..., View]
) -> None:
    ordinary = sum(map(len, sentences))
    sentences = [*sentences, [bench.vocabulary.sep_id]]  # no token of which is predicted
    model = model_of(bench, way)
    views = views_of(model, monkeypatch, sentences)
    passes = sum(len(view.input_ids) for view in views)
    assert passes == (ordinary if way is hidden_at_its_place else len(sentences) - 1)


def test_an_objective_that_fills_in_other_tokens_than_asked_is_found_out(
    bench: Bench, sentences: Sentences
) -> None:
    with pytest.raises(ValueError, match="of_all_but_the_first.cloze labels other tokens"):
        scored(model_of(bench, of_all_but_the_first), sentences)


def test_the_first_objective_that_fills_in_blanks_speaks(bench: Bench) -> None:
    both = bench.model([OfSentences(), filling_in(from_the_left), filling_in(from_the_right)])
    objective = speaker(both, CPU)
    assert objective is not None
    assert objective.name == "from_the_left"
    assert speaker(bench.model([OfSentences()]), CPU) is None


def test_nothing_to_score_is_no_error(bench: Bench) -> None:
    assert scored(model_of(bench, hidden_at_its_place), []) == []
    for way in (hidden_at_its_place, from_the_left):
        [score] = scored(model_of(bench, way), [[]])
        assert len(score) == 0


@pytest.mark.parametrize("tokens", [1, 40, 100])
def test_groups_are_of_similar_length_and_hold_each_row_once(tokens: int) -> None:
    lengths = np.array([7, 3, 30, 3, 12, 8, 3, 50, 9])
    found = list(groups(lengths, tokens))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    for group in found:
        assert len(group) == 1 or len(group) * lengths[group].max() <= tokens
    ends = [(lengths[group].min(), lengths[group].max()) for group in found]
    assert all(before[1] <= after[0] for before, after in zip(ends, ends[1:], strict=False))
