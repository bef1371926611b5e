"""What `clozebox show` prints is what training does, token by token."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import TOY_PLUGIN, TOY_SETTINGS, merged

from clozebox.config import arm_of
from clozebox.registry import Registry
from clozebox.report.example import ShownToken
from clozebox.report.gloss import gloss
from clozebox.report.styled import width_of
from clozebox.training.device import Numerics
from clozebox.training.setup import Learner, learner_of

Clozebox = Callable[..., int]
Captured = pytest.CaptureFixture[str]
Show = Callable[..., str]

CLASSES = '''
"""Puts [UNK] in the place of every third token, and asks where; another term guesses tokens."""
from dataclasses import replace
from clozebox import ObjectiveConfig, hookimpl

class Thirds(ObjectiveConfig):
    name = "thirds"

    def build(self, context):
        from torch import nn
        from clozebox.pretraining import Objective, Targets, labels_of

        class Third(Objective):
            def __init__(self):
                super().__init__()
                self.classifier = nn.Linear(context.shape.hidden_size, 2)

            def view(self, batch):
                ordinary = ~batch.special_tokens_mask
                third = ordinary & (batch.uniform("third") < 0.33)
                shown = batch.input_ids.masked_fill(third, batch.vocabulary.unk_id)
                labels = third.long().masked_fill(~ordinary, -100)
                return replace(batch.plain, input_ids=shown, labels=labels, max_targets=None)

            def targets(self, batch):
                count = (self.view(batch).labels == 1).sum()
                guesses = Targets(count, context.vocabulary.size, 10, flops_besides=999)
                return {**labels_of(self, batch, classes=2), "guess": guesses}

            def forward(self, hidden, view):
                raise NotImplementedError

        return Third()

@hookimpl
def register_objectives():
    return [Thirds]
'''


@pytest.fixture
def show(clozebox: Clozebox, folder: Path, cache: Path, capsys: Captured) -> Show:
    """``show("--example", "3", objectives=["ahead"])``: what is printed of the changed toy arm."""
    (folder / "sandbox.toml").write_text(f'[paths]\ncache = "{cache}"\n')

    def run(*options: str, **changes: Any) -> str:
        given = merged(TOY_SETTINGS, changes)
        lines = [f"{key} = {toml(value)}" for key, value in given.items()]
        (folder / "toy.toml").write_text("\n".join(["# Does it run?", *lines]))
        assert clozebox("show", "toy.toml", *options, plugin=TOY_PLUGIN) == 0
        return capsys.readouterr().out

    return run


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def learner(registry: Registry, cache: Path, **changes: Any) -> Learner:
    arm = arm_of("toy", merged(TOY_SETTINGS, changes), registry)
    return learner_of(arm, 0, cache, Numerics(torch.device("cpu"), "fp32"), lambda _: None)


def rows_of(printed: str, name: str) -> list[str]:
    """The rows of one name, without position and name."""
    lines = printed.splitlines()
    return [line[14:] for line in lines if line[:14].split()[-1:] == [name] and line[:4] != name]


def told(printed: str) -> str:
    """All that is said, without pictures and line breaks."""
    return " ".join("".join(c for c in printed if c not in "█▒·").split())


def words(printed: str, name: str) -> list[str]:
    return " ".join(rows_of(printed, name)).replace("[PAD] x ", "[PAD]*").split()


def aligned(printed: str, name: str) -> dict[int, str]:
    """Position -> what stands right below its token in the row ``name``."""
    found: dict[int, str] = {}
    above: dict[int, int] = {}  # column -> position
    position = 0
    for line in printed.splitlines():
        body, row = line[14:], line[:14].split()[-1:]
        starts = [n for n, c in enumerate(body) if c != " " and (n == 0 or body[n - 1] == " ")]
        if row == ["shown"]:
            above = {start: position + n for n, start in enumerate(starts)}
            position += len(starts)
        elif row == [name] and line.startswith("      "):
            found |= {above[start]: body[start:].split()[0] for start in starts}
    return found


def test_the_tokens_and_labels_are_those_of_the_training_batch(
    show: Show, registry: Registry, cache: Path
) -> None:
    printed = show("--example", "13")  # the second sequence of step 2, for a batch is six
    training = learner(registry, cache)
    [batch] = training.batches(2)
    view, tokenizer = batch.masked, training.store.tokenizer()
    assert int(batch.places[1]) == 13
    real = int(batch.attention_mask[1].sum())
    shown = [tokenizer.id_to_token(token) for token in view.input_ids[1].tolist()]
    labels = {
        n: tokenizer.id_to_token(label) for n, label in enumerate(view.labels[1]) if label >= 0
    }
    assert words(printed, "shown")[:real] == shown[:real]
    assert aligned(printed, "predict") == labels
    assert f"{len(labels)} tokens, each at its own position" in printed
    assert f"{20 - real} of padding" in printed


def test_every_chosen_token_is_said_to_be_masked_random_or_kept(
    show: Show, registry: Registry, cache: Path
) -> None:
    split = {"rate": 0.6, "mask_share": 0.4, "random_share": 0.3}
    printed = show(masking={"name": "toy", **split})
    training = learner(registry, cache, masking={"name": "toy", **split})
    [batch, *_] = training.batches(0)
    view, mask_id = batch.masked, training.store.vocabulary.mask_id
    expected = {}
    for n in (view.labels[0] != -100).nonzero().flatten().tolist():
        now, before = view.input_ids[0, n], batch.input_ids[0, n]
        expected[n] = "masked" if now == mask_id else "kept" if now == before else "random"
    assert set(expected.values()) == {"masked", "random", "kept"}
    assert aligned(printed, "fate") == expected
    counts = {fate: list(expected.values()).count(fate) for fate in ("masked", "random", "kept")}
    assert "toy at rate 0.6: " in printed
    for fate, count in counts.items():
        assert f"{count} {fate}" in told(printed)


@pytest.mark.parametrize(("objective", "step"), [("ahead", 1), ("behind", -1)])
def test_a_one_sided_objective_predicts_its_neighbours(
    show: Show, objective: str, step: int
) -> None:
    printed = show(objectives=[objective], masking="none")
    shown = [word for word in words(printed, "shown") if not word.startswith("[PAD]*")]
    inside = range(len(shown)) if step == 1 else range(1, len(shown))
    expected = {n: shown[n + step] for n in inside if 0 <= n + step < len(shown)}
    assert aligned(printed, "predict") == expected
    side = "before" if step == 1 else "after"
    assert f"{len(expected)} tokens, each by the position {side} it" in told(printed)
    assert not aligned(printed, "fate")


def picture(printed: str) -> list[str]:
    rows = ["".join(c for c in line if c in "█▒·") for line in printed.splitlines()]
    return [row for row in rows if len(row) == 20]


def test_the_picture_of_attention_is_its_pattern(show: Show) -> None:
    # 20 tokens, 2 to a square: the diagonal squares hold both.
    causal = ["██" * row + "▒▒" + "··" * (9 - row) for row in range(10)]
    assert picture(show(objectives=["ahead"], masking="none", train={"seq_length": 20})) == causal
    backward = show(objectives=["behind"], masking="none", train={"seq_length": 20})
    padding = int(backward.split(" of padding")[0].split()[-1])
    real = 20 - padding
    for row, line in enumerate(picture(backward)):
        for column in range(10):
            sees = [
                key == query or (key >= query and key < real)
                for query in (2 * row, 2 * row + 1)
                for key in (2 * column, 2 * column + 1)
            ]
            square = "██" if all(sees) else "▒▒" if any(sees) else "··"
            assert line[2 * column : 2 * column + 2] == square


def test_objectives_that_share_a_view_share_a_heading(show: Show) -> None:
    printed = show(objectives=["hidden", "pair"])
    assert sum("one encoder pass" in line for line in printed.splitlines()) == 1
    assert any(line.startswith("hidden + pair ──") for line in printed.splitlines())
    two = show(objectives=["hidden", "ahead"])
    assert sum("one encoder pass" in line for line in two.splitlines()) == 2


def test_a_pair_shows_its_segments_and_what_its_label_means(show: Show) -> None:
    meanings = {0: "the second part follows", 1: "the second part is from another document"}
    seen = set()
    for place in range(6):
        printed = show("--example", str(place), objectives=["hidden", "pair"])
        [label] = [n for n, text in meanings.items() if f"pair label {n}: {text}" in printed]
        assert f"pair predicts label {label}" in printed
        assert "      segment 0\n" in printed and "      segment 1\n" in printed
        assert aligned(printed, "predict").keys() == aligned(printed, "fate").keys()
        seen.add(label)
    assert seen == {0, 1}


def test_classes_are_shown_as_numbers(clozebox: Clozebox, show: Show, folder: Path) -> None:
    (folder / "thirds.py").write_text(CLASSES)
    (folder / "sandbox.toml").write_text(
        (folder / "sandbox.toml").read_text() + '[plugins]\npaths = ["thirds.py"]\n'
    )
    printed = show(objectives=["thirds"], masking="none")
    shown, classes = words(printed, "shown"), aligned(printed, "predict")
    replaced = {n for n, word in enumerate(shown) if word == "[UNK]"}
    assert replaced
    assert {n for n, label in classes.items() if label == "1"} == replaced
    assert set(classes.values()) == {"0", "1"}
    assert aligned(printed, "fate") == dict.fromkeys(replaced, "replaced")
    assert aligned(printed, "text").keys() == replaced
    assert f"the class of {len(classes)} positions" in printed
    table = printed[printed.index("term  ") :]
    header, *terms = [line.split() for line in table.splitlines()[:3]]
    assert header[-2:] == ["FLOPs", "besides"]
    assert [(term[0], term[1], term[-1]) for term in terms] == [
        ("thirds", str(len(classes)), "0"),
        ("guess", str(len(replaced)), "999"),
    ]


def test_labels_that_no_objective_reads_are_not_said_to_be_predicted(show: Show) -> None:
    phases = [{"share": 0.5, "objectives": ["hidden"]}, {"share": 0.5, "objectives": ["pair"]}]
    printed = show(objectives=["hidden", "pair"], phase=phases)
    first, second = printed.split("phase 2 of 2: 50% to 100% of the training")
    assert "phase 1 of 2: 0% to 50% of the training" in first
    assert aligned(first, "predict")
    assert "nothing at single positions" in second
    assert not aligned(second, "predict")
    assert aligned(second, "fate"), "they are masked all the same"
    late = show("--progress", "0.7", objectives=["hidden", "pair"], phase=phases)
    assert "phase 1" not in late and "phase 2" in late


def test_a_schedule_is_shown_as_far_as_the_training_is(show: Show) -> None:
    changing = {"name": "toy", "rate": 0.2, "final_rate": 0.6}
    counts = []
    for progress, rate in (("0", "0.2"), ("0.5", "0.4"), ("1", "0.6")):
        printed = show("--progress", progress, masking=changing)
        assert f"toy at rate {rate}: " in printed
        counts.append(len(aligned(printed, "predict")))
    assert counts == sorted(counts) and counts[0] < counts[2]


def test_a_mixture_says_to_whom_the_example_falls(show: Show) -> None:
    shares = {"hidden": {"share": 0.75, "weight": 2.0}, "ahead": {"share": 0.25}}
    falls = []
    for place in range(4):
        text = told(show("--example", str(place), objectives=["hidden", "ahead"], objective=shares))
        falls.append("ahead learns from 0.25 of the sequences, this one among them" in text)
        others = "hidden learns from 0.75 of the sequences, but not from this one" in text
        assert others == falls[-1]
    assert falls.count(True) == 1


def test_costs_are_of_this_example(show: Show, registry: Registry, cache: Path) -> None:
    weighted = {"hidden": {"weight": 0.5}}
    printed = show(objective=weighted)
    training = learner(registry, cache)
    targets = training.model.objectives["hidden"].targets(training.batch(0, 1))["hidden"]
    [term] = [line.split() for line in printed.splitlines() if line.startswith("hidden  ")]
    vocabulary = training.store.vocabulary.size
    assert term[1:4] == [str(int(targets.count)), str(vocabulary), "0.5"]
    assert term[4] == f"{targets.flops_each / 1e3:.3g}k"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_asked(show: Show, width: int) -> None:
    printed = show("--width", str(width), objectives=["hidden", "pair", "ahead"])
    assert max(map(len, printed.splitlines())) <= width
    narrow = show("--width", "60", objectives=["hidden", "pair", "ahead"])
    assert words(printed, "shown") == words(narrow, "shown")


def test_it_says_the_same_twice_and_has_no_colour_codes_in_a_pipe(show: Show, folder: Path) -> None:
    first = show()
    assert show() == first
    assert "\x1b" not in first
    assert not any(line != line.rstrip() for line in first.splitlines())
    assert not (folder / "runs").exists()


def test_a_terminal_has_colours_unless_no_color_is_set(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = show("--width", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    coloured = show("--width", "80")
    assert "\x1b[33m[MASK]\x1b[0m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert show("--width", "80") == plain


def test_an_unknown_arm_is_bad_input_with_a_suggestion(
    show: Show, clozebox: Clozebox, capsys: Captured
) -> None:
    show(arm=[{"name": "narrow"}, {"name": "wide", "masking": {"rate": 0.5}}])
    assert clozebox("show", "toy.toml", "--arm", "wid", plugin=TOY_PLUGIN) == 2
    error = capsys.readouterr().err
    assert "toy.toml has no such arm; did you mean 'wide'? (arms: narrow, wide)" in error
    assert "Traceback" not in error


def token(shown: str, **facts: Any) -> ShownToken:
    usual = {"text": shown, "label": None, "fate": None, "special": False, "padding": False}
    return ShownToken(**{"shown": shown, "part": "segment 0", **usual, **facts})


def rows(tokens: list[ShownToken]) -> list[str]:
    return ["".join(piece.text for piece in line) for line in gloss(tokens, 80)]


def test_padding_is_counted_but_never_hides_a_label() -> None:
    padding = [token("[PAD]", padding=True) for _ in range(5)]
    assert rows([token("end"), *padding])[0].endswith("end [PAD] x 5")
    padding[2] = token("[PAD]", padding=True, label="slip")
    shown, predict, _ = rows([token("end"), *padding])
    assert shown.endswith("end [PAD] x 2 [PAD] [PAD] x 2")
    assert predict.index("slip") == shown.index("[PAD] [PAD]")


def test_wide_letters_stay_above_their_labels() -> None:
    shown, predict, _ = rows([token("東京"), token("a", label="b")])
    assert width_of(shown[: shown.index("a")]) == width_of(predict[: predict.index("b")])
