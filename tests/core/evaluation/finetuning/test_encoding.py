"""What a model is shown: framed, cut as others cut, with labels where they belong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from clozebox.errors import UserError
from clozebox.evaluation.finetuning.encoding import (
    Feature,
    Tokens,
    cut_longest_first,
    sequence_length,
)
from clozebox.evaluation.finetuning.examples import Dataset, LabelledText, Question, TaggedWords
from clozebox.evaluation.finetuning.question_answering import (
    QuestionAnswering,
    Window,
    whole_answers,
)
from clozebox.evaluation.finetuning.sequences import Classification, Regression
from clozebox.evaluation.finetuning.settings import FineTuningSettings
from clozebox.evaluation.finetuning.tagging import Tagging
from clozebox.pretraining import IGNORE_INDEX
from clozebox.training.setup import Training

CPU = torch.device("cpu")


@pytest.fixture(params=["wordpiece", "bpe"])
def training(request: Any, ready_run: Callable[..., Training]) -> Training:
    size = {"wordpiece": 80, "bpe": 300}[request.param]
    return ready_run(tokenizer={"kind": request.param, "vocab_size": size})


def tokens_of(training: Training, seq_length: int) -> Tokens:
    return Tokens(training.store, seq_length)


def text_of(tokens: Tokens, ids: list[int]) -> str:
    return tokens.tokenizer.decode(ids).strip()


@pytest.mark.parametrize("lengths", [(3, 4), (9, 2), (2, 9), (6, 6), (7, 6), (6, 7), (20, 30)])
@pytest.mark.parametrize("room", [7, 8, 9])
def test_pairs_are_cut_as_hugging_faces_tokenizers_cut_them(
    ready_run: Callable[..., Training], lengths: tuple[int, int], room: int
) -> None:
    tokenizer = ready_run().store.tokenizer()
    first, second = ("ash " * lengths[0], "bay " * lengths[1])
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in (first, second)]
    tokenizer.enable_truncation(room + 3, strategy="longest_first")
    theirs = tokenizer.encode(first, second)
    ours = cut_longest_first(ids[0], ids[1], room)
    assert [len(part) for part in ours] == [
        sum(1 for token in theirs.ids if token == part[0]) for part in ids
    ]


def test_a_pair_is_framed_with_segments_and_padded_to_the_longest(training: Training) -> None:
    tokens, vocabulary = tokens_of(training, 32), training.store.vocabulary
    dataset = Dataset({"train": []}, ("a", "b"), "")
    kind = Classification(dataset, FineTuningSettings())
    features = kind.encode(
        [LabelledText("ash bay", "elm", 1), LabelledText("[SEP] ash", None, 0)], tokens
    )
    batch = tokens.collate(features, CPU)
    row = batch.input_ids[0].tolist()
    ends = [place for place, token in enumerate(row) if token == vocabulary.sep_id]
    assert row[0] == vocabulary.cls_id
    assert len(ends) == 2
    assert text_of(tokens, row[1 : ends[0]]) == "ash bay"
    assert text_of(tokens, row[ends[0] + 1 : ends[1]]) == "elm"
    segments = batch.token_type_ids[0].tolist()
    assert segments[: ends[0] + 1] == [0] * (ends[0] + 1)
    assert set(segments[ends[0] + 1 : ends[1] + 1]) == {1}
    # What a text spells is no special token: one [SEP], at the end.
    assert (batch.input_ids[1] == vocabulary.sep_id).sum() == 1
    lengths = [len(feature.input_ids) for feature in features]
    assert batch.attention_mask.sum(1).tolist() == lengths
    assert batch.input_ids.shape == (2, max(lengths))
    assert set(batch.input_ids[~batch.attention_mask].tolist()) <= {vocabulary.pad_id}
    assert batch.targets.tolist() == [1, 0]


def test_values_are_learned_in_units_of_their_spread_and_given_back(training: Training) -> None:
    examples = [LabelledText("ash", None, value) for value in (10.0, 20.0, 60.0)]
    kind = Regression(Dataset({"train": examples}, (), ""), FineTuningSettings())
    features = kind.encode(examples, tokens_of(training, 16))
    targets = np.array([one.target for one in features])
    assert targets.mean() == pytest.approx(0, abs=1e-6)
    assert targets.std() == pytest.approx(1, abs=1e-6)
    assert kind.predict([target[None] for target in targets], features) == pytest.approx(
        [10.0, 20.0, 60.0]
    )
    assert kind.constant(examples) == pytest.approx([30.0] * 3)


def test_a_constant_answer_is_that_of_the_training_examples() -> None:
    train = [LabelledText("ash", None, label) for label in (1, 1, 0)]
    asked = [LabelledText("elm", None, 0)] * 4
    kind = Classification(Dataset({"train": train}, ("a", "b"), ""), FineTuningSettings())
    assert kind.constant(asked) == [1, 1, 1, 1]
    words = [TaggedWords(("ash", "elm", "fir"), (2, 2, 0))]
    tags = Tagging(Dataset({"train": words}, ("a", "b", "c"), ""), FineTuningSettings())
    assert tags.constant([TaggedWords(("ash", "elm"), (0, 0))]) == [[2, 2]]


WORDS = ("ash", "unbelievable", "\u200b", "elm", "bay" * 9, "fir")


@pytest.mark.parametrize("seq_length", [8, 12, 64])
def test_every_word_is_tagged_once_at_its_first_piece(training: Training, seq_length: int) -> None:
    tokens = tokens_of(training, seq_length)
    examples = [TaggedWords(WORDS, (0, 1, 2, 3, 4, 5)), TaggedWords(("fir",), (5,))]
    kind = Tagging(Dataset({"train": examples}, tuple("abcdef"), ""), FineTuningSettings())
    features = kind.encode(examples, tokens)
    assert all(len(one.input_ids) <= seq_length for one in features)
    found: dict[int, list[int]] = {0: [], 1: []}
    for feature in features:
        for token, tag in zip(feature.input_ids, feature.target.tolist(), strict=True):
            if tag != IGNORE_INDEX:
                found[feature.example].append(tag)
                word = examples[0].words[tag]
                piece = tokens.tokenizer.encode([word], is_pretokenized=True)
                first = piece.ids[1] if len(piece.ids) > 2 else tokens.vocabulary.unk_id
                assert token == first
    assert found == {0: [0, 1, 2, 3, 4, 5], 1: [5]}
    # Logits that say the tag at its place come back as the tags of the words.
    logits = [np.eye(6)[np.maximum(one.target, 0)].T for one in features]
    assert kind.predict(logits, features) == [[0, 1, 2, 3, 4, 5], [5]]
    assert kind.score(kind.predict(logits, features), examples)["accuracy"] == 1.0


CONTEXT = "  ash bay, cob dew elm fir gum hay ivy jet kin log map nut oak pea rye"


def question(answer: str, context: str = CONTEXT) -> Question:
    return Question("what elm?", context, (answer,), (context.index(answer),))


def windows_of(
    training: Training, examples: list[Question], seq_length: int, stride: int = 3
) -> tuple[QuestionAnswering, list[Window]]:
    settings = FineTuningSettings(doc_stride=stride)
    kind = QuestionAnswering(Dataset({"train": examples}, (), ""), settings)
    features = kind.encode(examples, tokens_of(training, seq_length))
    return kind, [feature for feature in features if isinstance(feature, Window)]


@pytest.mark.parametrize("answer", ["ash", "bay", "bay, cob", "fir gum hay", "rye", "kin"])
@pytest.mark.parametrize("seq_length", [24, 200])
def test_an_answer_is_found_again_from_its_places(
    training: Training, answer: str, seq_length: int
) -> None:
    kind, windows = windows_of(training, [question(answer)], seq_length)
    holding = [window for window in windows if window.target.tolist() != [0, 0]]
    assert holding
    for window in holding:
        start, end = window.target.tolist()
        first, last = start - window.first, end - window.first
        found = CONTEXT[window.offsets[first][0] : window.offsets[last][1]]
        assert found.strip() == answer
    logits = [np.zeros((2, len(window.input_ids)), np.float32) for window in windows]
    for window, one in zip(windows, logits, strict=True):
        if window in holding:
            one[0, window.target[0]] = one[1, window.target[1]] = 9.0
    [span] = kind.predict(logits, windows)
    assert span is not None
    assert CONTEXT[slice(*span)].strip() == answer
    assert kind.score([span], [question(answer)]) == {"f1": 1.0, "exact_match": 1.0}


def test_windows_overlap_and_cover_the_context(training: Training) -> None:
    _, windows = windows_of(training, [question("ash")], 16)
    assert len(windows) > 2
    covered = {offset for window in windows for offset in window.offsets}
    whole = training.store.tokenizer().encode(CONTEXT, add_special_tokens=False).offsets
    assert covered == set(whole)
    for left, right in zip(windows, windows[1:], strict=False):
        assert left.offsets[3] == right.offsets[0]
    assert all(len(window.input_ids) <= 16 for window in windows)


@pytest.mark.parametrize("seq_length", [24, 40, 128])
def test_no_answer_that_is_looked_for_is_cut_by_every_window(
    training: Training, seq_length: int
) -> None:
    """Whatever the stride that is asked for: a short window would else jump over answers."""
    context = " ".join(f"{word} {other}" for word in ("ash", "bay") for other in CONTEXT.split())
    tokens = training.store.tokenizer().encode(context, add_special_tokens=False)
    question = training.store.tokenizer().encode("what elm?", add_special_tokens=False)
    room = seq_length - 3 - len(question.ids)
    longest = min(FineTuningSettings().answer_tokens, (room + 1) // 2)
    asked = []
    for first in range(0, len(tokens.ids) - longest, 3):
        begin, end = tokens.offsets[first][0], tokens.offsets[first + longest - 1][1]
        asked.append(Question("what elm?", context, (context[begin:end],), (begin,)))
    _, windows = windows_of(training, asked, seq_length, stride=64)
    assert whole_answers(windows) == len(asked) > 10


def test_a_span_never_ends_before_it_begins_nor_outside_the_context(training: Training) -> None:
    kind, [window] = windows_of(training, [question("ash")], 200)
    logits = np.zeros((2, len(window.input_ids)), np.float32)
    logits[:, 1] = 50.0  # in the question
    logits[0, window.first + 5], logits[1, window.first + 2] = 9.0, 9.0
    [span] = kind.predict([logits], [window])
    assert span is not None
    assert span[0] < span[1]
    starts = [left for left, _ in window.offsets]
    # Of the two, only one can be an end of the best span.
    assert (span[0] == starts[5]) != (span[1] == window.offsets[2][1])


def test_no_answer_is_given_only_where_training_has_such_questions(training: Training) -> None:
    refused = Question("why?", CONTEXT, (), ())
    for examples, expected in (([question("ash")], False), ([refused, refused], True)):
        kind, windows = windows_of(training, examples, 200)
        logits = [np.zeros((2, len(window.input_ids)), np.float32) for window in windows]
        for one in logits:
            one[:, 0] = 5.0
        assert (kind.predict(logits, windows)[0] is None) == expected
    assert kind.constant([refused, question("ash")]) == ["", ""]
    assert kind.score(["", ""], [refused, question("ash")])["exact_match"] == 0.5


def test_a_context_without_a_token_gives_no_answer(training: Training) -> None:
    empty = Question("why?", "", (), ())
    kind, windows = windows_of(training, [question("ash"), empty], 64)
    logits = [np.zeros((2, len(window.input_ids)), np.float32) for window in windows]
    assert kind.score(kind.predict(logits, windows)[1:], [empty])["exact_match"] == 1.0


def test_a_sequence_is_as_long_as_asked_or_as_the_run_has_learned() -> None:
    assert sequence_length(None, trained=128, positions=512) == 128
    assert sequence_length(None, trained=600, positions=512) == 512
    assert sequence_length(300, trained=128, positions=512) == 300
    with pytest.raises(UserError, match="seq_length is 513, and the run's model has 512"):
        sequence_length(513, trained=128, positions=512)


def test_targets_along_tokens_are_padded_with_what_the_loss_leaves_out(training: Training) -> None:
    features = [
        Feature([1, 2, 3], [0, 0, 0], False, np.array([5, IGNORE_INDEX, 6]), 0),
        Feature([1], [0], False, np.array([7]), 1),
    ]
    batch = tokens_of(training, 16).collate(features, CPU)
    assert batch.targets.tolist() == [[5, -100, 6], [7, -100, -100]]
