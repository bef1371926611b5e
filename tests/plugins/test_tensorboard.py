"""What TensorBoard itself reads back of the event files, over its own HTTP API."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.core.report.tensorboard_server import LOADERS, ask, served, until

from clozebox.errors import UserError
from clozebox.training import Reporter, RunDirectory
from clozebox.training.console import Console
from clozebox.training.setup import set_up
from clozebox_tensorboard import FillsConfig, TensorBoardConfig, register_reporters
from clozebox_tensorboard.fills import Told, one_word_each, words_of


def started(
    folder: Path, arm: str, seed: int, settings: dict[str, Any], first: int = 1, trial: str = ""
) -> Reporter:
    path = folder / (arm + trial) / f"seed-{seed}"
    path.mkdir(parents=True, exist_ok=True)
    resolved = {"experiment": folder.name, "arm": arm, "seed": seed, "settings": settings}
    (path / "resolved.json").write_text(json.dumps(resolved))
    reporter = TensorBoardConfig().build()
    reporter.start(RunDirectory(path), SimpleNamespace(name=arm), first)  # type: ignore[arg-type]
    return reporter


def whole_run(folder: Path, arm: str, seed: int, loss: float, settings: dict[str, Any]) -> None:
    reporter = started(folder, arm, seed, settings)
    for step in range(1, 6):
        reporter.log(step, {"train/mlm_loss": loss + 1 / step, "optim/lr": 1e-3})
    reporter.log(5, {"eval/cloze_loss": loss})
    reporter.finish("done", {"eval/cloze_loss": loss})


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms of two and three seeds; a resumed run; a failed one; two trials of one search."""
    folder = tmp_path_factory.mktemp("runs") / "rate"
    token = {"masking": {"name": "token", "rate": 0.15}, "train": {"pack": True, "limit": None}}
    none = {"objectives": ["ar_forward", "mlm"], "masking": {"name": "none"}}
    for seed, loss in enumerate((3.0, 4.0)):
        whole_run(folder, "token-15", seed, loss, token)
    for seed, loss in enumerate((5.0, 6.0, 8.5)):
        whole_run(folder, "forward", seed, loss, none)

    cut = started(folder, "resumed", 0, none)
    for step in range(1, 10):
        cut.log(step, {"train/loss": 9.0})
    for step in (5, 9):
        cut.log(step, {"eval/fills_confidence": Told(0.5, "a **[MASK]** 1")})
    cut.finish("interrupted", {})
    again = started(folder, "resumed", 0, none, first=7)
    for step in range(7, 12):
        again.log(step, {"train/loss": 1.0})
    again.log(9, {"eval/fills_confidence": Told(0.5, "a **[MASK]** 2")})
    again.finish("done", {})

    started(folder, "broken", 0, none).finish("failed", {})
    for trial in (0, 1):
        reporter = started(folder, "searched", 0, none, trial=f".trial-{trial}")
        reporter.finish("done", {})
    return folder


def session_groups(url: str) -> dict[str, Any]:
    """The rows of the HParams table, once the server has read them all."""
    wanted = ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"]
    body = {
        "experimentName": "",
        "allowedStatuses": wanted,
        "colParams": [],
        "startIndex": 0,
        "sliceSize": 99,
        "aggregationType": "AGGREGATION_AVG",
        "includeMetrics": True,
    }
    groups = until(
        lambda: ask(url, "hparams/session_groups", body)["sessionGroups"],
        lambda groups: sum("endTimeSecs" in s for g in groups for s in g["sessions"]) == 9,
    )
    return {group["name"]: group for group in groups}


@pytest.mark.parametrize("loader", LOADERS)
def test_tensorboard_shows_one_row_per_arm_or_trial_and_no_point_twice(
    logs: Path, loader: str
) -> None:
    with served(logs, loader) as url:
        rows = session_groups(url)
        arms = ("token-15", "forward", "resumed", "broken")
        trials = ("searched.trial-0", "searched.trial-1")
        assert rows.keys() == {f"rate/{name}" for name in (*arms, *trials)}

        forward = rows["rate/forward"]
        names = [session["name"] for session in forward["sessions"]]
        assert names == ["forward/seed-0", "forward/seed-1", "forward/seed-2"]
        averages = {m["name"]["tag"]: m["value"] for m in forward["metricValues"]}
        assert averages["eval/cloze_loss"] == pytest.approx(6.5)

        # Arms with other settings keep their own columns, and a boolean stays one.
        assert forward["hparams"] == {
            "objectives": "ar_forward, mlm",
            "masking.name": "none",
        }
        expected = {"masking.name": "token", "masking.rate": 0.15, "train.pack": True}
        assert rows["rate/token-15"]["hparams"] == expected

        statuses = {name: row["sessions"][0]["status"] for name, row in rows.items()}
        assert statuses["rate/broken"] == "STATUS_FAILURE"
        assert statuses["rate/resumed"] == statuses["rate/forward"] == "STATUS_SUCCESS"

        points = ask(url, "scalars/scalars", run="resumed/seed-0", tag="train/loss")
        assert [(step, value) for _, step, value in points] == [
            (step, 9.0 if step < 7 else 1.0) for step in range(1, 12)
        ]
        texts = ask(
            url, "text/text", run="resumed/seed-0", tag="eval/fills_confidence/text_summary"
        )
        assert [t["step"] for t in texts] == [5, 9]
        assert "<strong>[MASK]</strong> 2" in texts[1]["text"]

        layout = ask(url, "custom_scalars/layout")
        charts = {c["title"]: c["chart"] for c in layout["category"]}
        assert [chart["title"] for chart in charts["Losses"]] == ["training", "held-out"]
        [excess] = charts["Excess nats above the floor, where it is known"]
        [pattern] = excess["multiline"]["tag"]
        tags = ("eval/mlm_excess", "eval/excess", "eval/mlm_loss")
        assert [bool(re.match(pattern, tag)) for tag in tags] == [True, True, False]


def test_the_plugin_registers_its_reporter_without_importing_torch() -> None:
    code = "import sys, clozebox_tensorboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert [config.name for config in register_reporters()] == ["tensorboard"]


@pytest.fixture
def training(make_run: Callable[..., Any], registry: Any) -> Any:
    return set_up(make_run(), registry, Console().say)


def test_what_is_filled_in_is_a_number_that_carries_a_table_of_words(training: Any) -> None:
    task = FillsConfig(excerpts=3, top=2).build()
    found = task.evaluate(training.model.eval(), training.held_out)
    confidence = found["fills_confidence"]
    assert isinstance(confidence, Told) and 0 < confidence < 1
    header, rule, *rows = confidence.text.splitlines()
    assert (header, rule, len(rows)) == ("| text | filled in |", "|---|---|", 3)
    pattern = r"\| .*\*\*\[MASK\]\*\*.* \| \S+ \d+% · \S+ \d+% \(it was: \S+, \d+%\) \|"
    assert all(re.fullmatch(pattern, row) for row in rows)
    assert task.evaluate(training.model, training.held_out)["fills_confidence"] == confidence
    assert copy.deepcopy(confidence).text == confidence.text


def test_sentences_of_ones_own_have_no_right_answer_and_every_blank_a_row(training: Any) -> None:
    word = training.store.tokenizer().id_to_token(40)
    task = FillsConfig(sentences=(f"{word} [MASK] {word} [MASK]",)).build()
    rows = task.evaluate(training.model.eval(), training.held_out)["fills_confidence"].text
    assert len(rows.splitlines()) == 4 and "it was" not in rows
    with pytest.raises(UserError, match=r"evaluation fills: .* tokens; the model reads 32"):
        FillsConfig(sentences=("[MASK] " * 40,)).build().evaluate(training.model, training.held_out)
    with pytest.raises(ValueError, match=r"no \[MASK\] in 'a full sentence'"):
        FillsConfig(sentences=("a full sentence",))


def test_one_whole_word_is_hidden_in_each_excerpt_where_there_is_one(training: Any) -> None:
    for batch in training.held_out.batches(40):
        is_word = words_of(training.store)
        chosen = one_word_each(batch, is_word)
        assert (chosen.sum(1) == 1).all() and not (chosen & batch.special_tokens_mask).any()
        pieces = torch.as_tensor(batch.vocabulary.continuation_ids)
        piece = torch.isin(batch.input_ids, pieces)
        whole = ~(piece | piece.roll(-1, 1) | batch.special_tokens_mask) & is_word[batch.input_ids]
        assert (chosen & whole).any(1).equal(whole.any(1))
