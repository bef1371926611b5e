"""A pair is right when its grammatical sentence is the likelier one, and half right in a tie."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clozebox.errors import UserError
from clozebox.evaluation import Accuracy
from clozebox.testing import assert_passes
from clozebox.training.console import Console
from clozebox.training.run import run_training
from clozebox.training.setup import Training, set_up
from clozebox_minimal_pairs import MinimalPairsConfig
from clozebox_minimal_pairs.task import point


def record(good: str, bad: str, paradigm: str = "word", phenomenon: str = "words") -> str:
    keys = {"sentence_good": good, "sentence_bad": bad}
    return json.dumps({**keys, "UID": paradigm, "linguistics_term": phenomenon, "pairID": "0"})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """``write("a.jsonl", line, ...)``: the path of a file of these lines."""

    def make(name: str, *lines: str | bytes) -> str:
        path = tmp_path / "pairs" / name
        path.parent.mkdir(exist_ok=True)
        raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
        path.write_bytes(b"".join(line + b"\n" for line in raw))
        return str(path)

    return make


@pytest.fixture
def ready(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    def make(objective: str = "hidden", **changes: Any) -> Training:
        masking = {} if objective == "hidden" else {"masking": "none"}
        run = make_run(objectives=[objective], **masking, **changes)
        training = set_up(run, registry, Console().say)
        training.model.eval()
        return training

    return make


def measured(training: Training, path: str, **settings: Any) -> dict[str, float]:
    task = MinimalPairsConfig(path=path, **settings).build()
    return task.evaluate(training.model, training.held_out)


def prefer(training: Training, *words: str) -> None:
    """A model that finds every place alike, and these words likelier than others."""
    tokenizer = training.store.tokenizer()
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.zero_()
        bias = training.model.each_objective()[0].head.bias
        for rank, word in enumerate(words):
            bias[tokenizer.token_to_id(word)] = 4.0 - rank


@pytest.mark.parametrize("scoring", ["pll", "pll_within_word"])
@pytest.mark.parametrize("objective", ["hidden", "ahead", "behind"])
@pytest.mark.parametrize("name", ["words.jsonl", "words-word.txt"])
def test_a_model_that_finds_all_sentences_alike_scores_one_half(
    ready: Callable[..., Training],
    write: Callable[..., str],
    objective: str,
    scoring: str,
    name: str,
) -> None:
    sentences = [
        "ash bay cob",
        "dew elm fir",
        "gum hay",
        "ivy jet",
        "kin ash ivy dew",
        "elm fir map oak",
    ]
    lines = sentences
    if name.endswith("jsonl"):
        lines = [record(*sentences[i : i + 2]) for i in (0, 2, 4)]
    training = ready(objective)
    prefer(training)
    form = "blimp" if name.endswith("jsonl") else "zorro"
    found = measured(training, write(name, *lines), format=form, scoring=scoring)
    assert found == {f"{form}_accuracy": 0.5, "words_accuracy": 0.5}


@pytest.mark.parametrize("objective", ["hidden", "ahead", "behind"])
def test_the_likelier_sentence_is_the_one_that_is_taken_for_grammatical(
    ready: Callable[..., Training], write: Callable[..., str], objective: str
) -> None:
    training = ready(objective)
    prefer(training, "ash", "bay")
    lines = [
        record("cob ash", "cob bay"),
        record("bay cob", "cob dew"),
        record("ash bay", "bay ash"),  # the same words in another order: a tie
        record("cob bay", "cob ash"),
    ]
    found = measured(training, write("words.jsonl", *lines))
    assert found["words_accuracy"] == (1 + 1 + 0.5 + 0) / 4


def test_of_zorros_lines_the_second_is_the_grammatical_one(
    ready: Callable[..., Training], write: Callable[..., str]
) -> None:
    training = ready()
    prefer(training, "ash")
    write("island-effects-adjunct.txt", "cob bay", "cob ash", "bay cob", "ash cob")
    path = write("case-subjective.txt", "ash bay", "cob bay")
    found = measured(training, str(Path(path).parent), format="zorro")
    assert found == {
        "zorro_accuracy": 0.5,
        "case_accuracy": 0.0,
        "island_effects_accuracy": 1.0,
    }


def test_what_is_the_same_to_the_tokenizer_is_a_tie(
    ready: Callable[..., Training], write: Callable[..., str]
) -> None:
    found = measured(ready(), write("case.jsonl", record("Ash bay", "ash BAY")))
    assert found["words_accuracy"] == 0.5


def test_a_tie_is_what_single_precision_cannot_tell_apart() -> None:
    assert [point(d, tokens=10) for d in (0.0, 9e-6, -9e-6, 1.1e-5, -1.1e-5)] == [
        0.5,
        0.5,
        0.5,
        1,
        0,
    ]
    assert point(float("nan"), tokens=10) == 0.5


@pytest.fixture
def three_paradigms(write: Callable[..., str]) -> str:
    """Of two phenomena: right in all of three and in none of one; right in one of two."""
    return write(
        "all.jsonl",
        record("ash elm", "cob elm", "agreement_1", "agreement"),
        record("ash fir", "cob fir", "agreement_1", "agreement"),
        record("ash gum", "cob gum", "agreement_1", "agreement"),
        record("ash oak", "cob oak", "s-island", "island effects"),
        record("cob elm", "ash elm", "agreement_2", "agreement"),
        record("cob nut", "ash nut", "s-island", "island effects"),
    )


def test_paradigms_count_the_same_in_their_phenomenon_and_in_the_whole(
    ready: Callable[..., Training], three_paradigms: str
) -> None:
    training = ready()
    prefer(training, "ash")
    found = measured(training, three_paradigms)
    assert found == {
        "blimp_accuracy": (1 + 0 + 0.5) / 3,
        "agreement_accuracy": 0.5,
        "island_effects_accuracy": 0.5,
    }
    by_paradigm = measured(training, three_paradigms, by="paradigm")
    assert by_paradigm == {
        "blimp_accuracy": (1 + 0 + 0.5) / 3,
        "agreement_1_accuracy": 1.0,
        "agreement_2_accuracy": 0.0,
        "s_island_accuracy": 0.5,
    }


def test_every_score_has_its_interval(ready: Callable[..., Training], three_paradigms: str) -> None:
    training = ready()
    prefer(training, "ash")
    found = measured(training, three_paradigms, by="paradigm")
    one = found["agreement_1_accuracy"]
    assert isinstance(one, Accuracy)
    assert (one.low, one.high) == pytest.approx((Accuracy.of(3, 3).low, 1.0))
    whole = found["blimp_accuracy"]
    assert isinstance(whole, Accuracy)
    assert 0 < whole.low < whole < whole.high < 1


def test_a_few_pairs_come_from_all_over_the_paradigm(write: Callable[..., str]) -> None:
    lines = [record(f"good {i}", f"bad {i}") for i in range(10)]
    [paradigm] = MinimalPairsConfig(path=write("a.jsonl", *lines), pairs=4).build().paradigms
    assert [pair.good for pair in paradigm.pairs] == ["good 0", "good 2", "good 5", "good 7"]


def test_windows_line_ends_and_a_byte_order_mark_are_no_text(write: Callable[..., str]) -> None:
    path = write("a-b.txt", "\ufeffbad one\r", "good one\r")
    [paradigm] = MinimalPairsConfig(path=path, format="zorro").build().paradigms
    assert paradigm.pairs[0][:2] == ("good one", "bad one")


GOOD = record("ash bay", "cob bay")


def test_all_that_is_wrong_with_the_files_is_told_at_once(write: Callable[..., str]) -> None:
    write("empty.jsonl")
    path = write(
        "mixed.jsonl",
        GOOD,
        "not json",
        "[1, 2]",
        GOOD.replace("sentence_bad", "sentence_bda"),
        GOOD.replace('"ash bay"', "7"),
        GOOD.replace("ash bay", "  "),
        record("the same", "the same"),
        b'{"sentence_good": "\xff"}',
        GOOD.replace("ash", "\\ud800"),
        b'{"sentence_good": "' + b"a" * 10_000_000 + b'"}',
        GOOD,
    )
    with pytest.raises(UserError) as refused:
        MinimalPairsConfig(path=str(Path(path).parent)).build()
    told = str(refused.value).splitlines()[1:]
    expected = [
        r"empty\.jsonl: no pairs in it",
        r"mixed\.jsonl:2: not JSON: ",
        r"mixed\.jsonl:3: a JSON object is due, with sentence_good, ",
        r"mixed\.jsonl:4: no key 'sentence_bad'; did you mean 'sentence_bda'\?",
        r"mixed\.jsonl:5: sentence_good is 7; text is due",
        r'mixed\.jsonl:6: sentence_good is "  "; text is due',
        r"mixed\.jsonl:7: twice the same sentence: 'the same'",
        r"mixed\.jsonl:8: not UTF-8: byte 0xff",
        r"mixed\.jsonl:9: sentence_good holds half of a surrogate pair",
        r"mixed\.jsonl:10: longer than 65536 bytes",
    ]
    assert len(told) == len(expected)
    for line, pattern in zip(told, expected, strict=True):
        assert re.search(pattern, line), line


def test_lines_that_are_no_pairs_are_told(write: Callable[..., str]) -> None:
    path = write(
        "a-b.txt", "bad one", "good one", "bad two", "", "same", "same", b"\xe9", "good", "last"
    )
    with pytest.raises(UserError) as refused:
        MinimalPairsConfig(path=path, format="zorro").build()
    told = [line.rpartition("a-b.txt:")[2] for line in str(refused.value).splitlines()[1:]]
    assert told == [
        "4: an empty line; each line is half of a pair",
        "5: twice the same sentence: 'same'",
        "7: not UTF-8: byte 0xe9",
        "9: an odd number of lines; the last has no grammatical counterpart",
    ]


def test_of_very_many_problems_the_first_are_told(write: Callable[..., str]) -> None:
    with pytest.raises(UserError) as refused:
        MinimalPairsConfig(path=write("a.jsonl", *["no"] * 5000)).build()
    told = str(refused.value).splitlines()
    assert len(told) == 22
    assert told[-1].strip() == "and 4980 more"


@pytest.mark.parametrize(
    ("name", "form", "told"),
    [
        ("a.txt", "blimp", r"a\.txt is no \.jsonl file .*format = \"zorro\" reads \.txt"),
        ("a.jsonl", "zorro", r"a\.jsonl is no \.txt file"),
        ("..", "blimp", r"the folder .* holds no \.jsonl file"),
        ("nowhere", "blimp", r"there is no file or folder .*nowhere, seen from /"),
    ],
)
def test_a_path_that_holds_no_such_pairs_is_told(
    write: Callable[..., str], name: str, form: Any, told: str
) -> None:
    folder = Path(write("a.txt", "x")).parent
    write("a.jsonl", "x")
    with pytest.raises(UserError, match=told):
        MinimalPairsConfig(path=str(folder / name), format=form).build()


def test_sentences_that_the_model_cannot_read_are_named(
    ready: Callable[..., Training], write: Callable[..., str]
) -> None:
    long = " ".join(["ash"] * 31)
    path = write("a.jsonl", GOOD, record(long, "cob bay"), record("ash", "\u200b\u200b"))
    with pytest.raises(UserError) as refused:
        measured(ready(), path)
    told = str(refused.value)
    assert "a.jsonl:2: 'ash ash" in told
    assert "is 33 tokens; the model reads 32" in told
    assert "a.jsonl:3: '\\u200b\\u200b' is nothing to the tokenizer" in told


def test_an_arm_that_predicts_no_tokens_has_no_score(
    ready: Callable[..., Training], write: Callable[..., str]
) -> None:
    assert measured(ready("pair"), write("a.jsonl", GOOD)) == {}


@pytest.mark.parametrize(("when", "times"), [(None, 1), ("always", 2)])
def test_a_run_is_measured_by_it_at_its_end_unless_told_otherwise(
    make_run: Callable[..., Any],
    registry: Any,
    write: Callable[..., str],
    when: str | None,
    times: int,
) -> None:
    settings = {"path": write("a.jsonl", GOOD, record("ash", "bay")), "when": when}
    settings = {key: value for key, value in settings.items() if value}
    run = make_run(
        evaluations=["own_losses", "minimal_pairs"], evaluation={"minimal_pairs": settings}
    )
    assert run_training(run, registry, Console()) == 0
    result = run.status()["result"]
    assert 0 <= result["eval/blimp_accuracy"] == result["eval/words_accuracy"] <= 1
    assert sum("eval/blimp_accuracy" in line for line in run.metrics()) == times


def test_the_corrected_form_is_taken_where_it_is_asked_for(
    ready: Callable[..., Training], write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = ready()
    path = write("a.jsonl", record("bayhay ash", "ash bayhay"))
    continues = np.array(training.store.vocabulary.continuation_ids)
    hidden = {}
    plain = training.model.encode
    for scoring in ("pll", "pll_within_word"):
        seen: list[Any] = []
        monkeypatch.setattr(
            training.model, "encode", lambda v, *r, s=seen: s.append(v) or plain(v, *r)
        )
        measured(training, path, scoring=scoring)
        masks = [(view.input_ids == training.store.vocabulary.mask_id).sum(1) for view in seen]
        hidden[scoring] = max(int(count.max()) for count in masks)
    [encoded] = training.store.tokenizer().encode_batch(["bayhay"], add_special_tokens=False)
    assert len(encoded.ids) == 1 + np.isin(encoded.ids, continues).sum() > 1
    assert hidden == {"pll": 1, "pll_within_word": len(encoded.ids)}


@pytest.mark.parametrize("scoring", ["pll", "pll_within_word"])
def test_the_task_keeps_the_promises_of_its_kind(
    write: Callable[..., str], registry: Any, scoring: str
) -> None:
    pairs = [record("bodo lane.", "lane bodo."), record("ro mi", "mi tekamo")]
    settings = {"path": write("a.jsonl", *pairs), "scoring": scoring}
    assert_passes("minimal_pairs", settings, registry=registry)
