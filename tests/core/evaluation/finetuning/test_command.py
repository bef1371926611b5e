"""`clozebox finetune`: what it prints, what it keeps, what it refuses."""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clozebox import registry as registry_module
from clozebox.cli import finetune_output, main
from clozebox.evaluation.finetuning import controls
from clozebox.report.records import read_run
from clozebox.training.console import Console
from clozebox.training.run import run_training

Clozebox = Callable[..., int]


@pytest.fixture
def trained(make_run: Callable[..., Any], registry: Any) -> Any:
    run = make_run("trained", budget={"steps": 2}, reporters=["told"])
    assert run_training(run, registry, Console()) == 0
    return run


@pytest.fixture
def clozebox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clozebox:
    monkeypatch.setattr(registry_module, "installed_candidates", list)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["clozebox", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        assert isinstance(done.value.code, int)
        return done.value.code

    return run


def test_scores_of_every_seed_and_control_are_printed_kept_and_compared(
    clozebox: Clozebox, trained: Any, party: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trained.metrics()
    assert clozebox("finetune", str(trained.path), str(party)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "party: 48 train, 16 development, 20 test examples; scored on test"
    rows = [line.split()[0] for line in shown[1:-1]]
    assert rows == ["weights", *["pretrained,"] * 3, *["random,"] * 3, "majority"]
    assert "accuracy" in shown[1]
    assert "±" in next(line for line in shown if line.startswith("pretrained, mean"))

    kept = json.loads((trained.path / "finetune" / "party" / "results.json").read_text())
    assert sorted(kept["outcomes"]["pretrained"]) == ["0", "1"]
    assert kept["examples"] == {"train": 48, "development": 16, "test": 20}
    scores = [one["scores"]["accuracy"] for one in kept["outcomes"]["pretrained"].values()]
    final = read_run(trained).final
    assert final["eval/party_accuracy"] == pytest.approx(sum(scores) / 2)
    assert final["eval/party_accuracy_majority"] == kept["majority"]["accuracy"] == 0.5
    assert {*before[-1]} & {*final}  # the last evaluation is still there
    assert trained.metrics()[: len(before)] == before


def test_reporters_are_told_what_is_measured_after_the_end(
    clozebox: Clozebox, trained: Any, party: Path
) -> None:
    told = trained.path / "told.txt"
    before = told.read_text()
    sets = ("--set", "finetuning.seeds=[0]", "--set", "finetuning.epochs=1")
    assert clozebox("finetune", str(trained.path), str(party), *sets) == 0
    names = "eval/party_accuracy eval/party_accuracy_majority eval/party_accuracy_random"
    assert told.read_text() == f"{before}start 3\nlog 2 {names}\nfinish done\n"


def test_a_run_that_is_being_trained_is_left_alone_and_nothing_is_lost(
    clozebox: Clozebox, trained: Any, party: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trained.metrics()
    sets = ("--set", "finetuning.seeds=[0]", "--set", "finetuning.epochs=1")
    with (trained.path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert clozebox("finetune", str(trained.path), str(party), *sets) == 0
    error = capsys.readouterr().err
    assert "its metrics.jsonl is left as it is: " in error
    assert "is being trained by process" in error
    assert trained.metrics() == before
    assert (trained.path / "finetune" / "party" / "results.json").exists()


def test_what_must_be_known_is_said_before_and_kept(
    clozebox: Clozebox, trained: Any, party: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ("--set", "test=dev.tsv", "--set", "finetuning.epochs=1")
    note = "16 of 16 test examples are development examples too"
    for how in ((), ("--probe",)):
        assert clozebox("finetune", str(trained.path), str(party), *sets, *how) == 0
        shown = capsys.readouterr()
        assert f"note: {note}\n" in shown.err
        assert "f1 of right" in shown.out  # of two classes the second
    for name in ("results", "probe"):
        kept = json.loads((trained.path / "finetune" / "party" / f"{name}.json").read_text())
        assert note in kept["notes"]
        assert kept["labels"] == ["left", "right"]


def test_long_work_says_how_far_it_is(
    clozebox: Clozebox,
    trained: Any,
    party: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(finetune_output, "SECONDS_BETWEEN_LINES", 0.0)
    assert clozebox("finetune", str(trained.path), str(party)) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "eta" in line]
    assert told[0].startswith("party: pretrained, seed 0:   4%, eta of this seed 0:0")
    assert {line.split(":")[1].strip() for line in told} == {
        f"{origin}, seed {seed}" for origin in ("pretrained", "random") for seed in (0, 1)
    }


def test_ctrl_c_keeps_the_finished_seeds_and_they_are_not_run_again(
    clozebox: Clozebox,
    trained: Any,
    party: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran: list[int] = []
    fine_tune = controls.fine_tune

    def interrupted(model: Any, prepared: Any, seed: int, *rest: Any) -> Any:
        ran.append(seed)
        if len(ran) == 4:
            raise KeyboardInterrupt
        return fine_tune(model, prepared, seed, *rest)

    monkeypatch.setattr(controls, "fine_tune", interrupted)
    assert clozebox("finetune", str(trained.path), str(party)) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    assert clozebox("finetune", str(trained.path), str(party)) == 0
    assert ran == [0, 0, 1, 1, 1]  # pretrained and random by turns; the last one twice
    again = ("--set", "finetuning.seeds=[0, 1, 2]")
    assert clozebox("finetune", str(trained.path), str(party), *again) == 0
    assert ran[5:] == [2, 2]
    assert clozebox("finetune", str(trained.path), str(party), "--set", "metric=f1") == 0
    assert len(ran) == 11


def test_only_the_seeds_that_are_asked_for_are_told(
    clozebox: Clozebox, trained: Any, party: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seeds in ("[0, 1]", "[1]"):
        sets = ("--set", f"finetuning.seeds={seeds}", "--set", "finetuning.epochs=1", "--json")
        capsys.readouterr()
        assert clozebox("finetune", str(trained.path), str(party), *sets) == 0
        told = json.loads(capsys.readouterr().out)
        assert list(told["outcomes"]["pretrained"]) == [str(n) for n in json.loads(seeds)]


def test_probes_of_every_layer_are_printed_and_kept(
    clozebox: Clozebox, trained: Any, party: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clozebox("finetune", str(trained.path), str(party), "--probe") == 0
    shown = capsys.readouterr().out
    for origin in ("pretrained", "random"):
        assert [f"{origin}, layer {n}" in shown for n in range(4)] == [True] * 3 + [False]
    assert shown.count("best on development") == 2
    kept = json.loads((trained.path / "finetune" / "party" / "probe.json").read_text())
    assert [one["layer"] for one in kept["layers"]["random"]] == [0, 1, 2]
    assert "eval/party_probe_accuracy" in read_run(trained).final
    options = ("--probe", "--layer", "1", "--pooling", "cls", "--json")
    assert clozebox("finetune", str(trained.path), str(party), *options) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pooling"], [one["layer"] for one in told["layers"]["random"]]) == ("cls", [1])
    final = read_run(trained).final
    assert {"eval/party_probe_accuracy", "eval/party_probe_cls_layer1_accuracy"} <= final.keys()


def test_runs_that_were_asked_otherwise_are_named(
    clozebox: Clozebox, trained: Any, party: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`compare` sets the scores of one experiment side by side, whatever they are of."""
    experiment = trained.path.parent / "runs" / "toy"
    for arm in ("one", "two"):
        shutil.copytree(trained.path, experiment / arm / "seed-0")
    short = ("--set", "finetuning.seeds=[0]", "--set", "finetuning.epochs=1")
    for arm, more, told in (
        ("one", (), False),
        ("two", (), False),
        ("two", ("--set", "finetuning.lr=1e-3"), True),
        ("two", (), False),
    ):
        given = ("finetune", str(experiment / arm / "seed-0"), str(party), *short, *more)
        assert clozebox(*given) == 0
        error = capsys.readouterr().err
        assert ("note: one/seed-0 has scores of other settings or data" in error) == told
    data = party.with_name("train.tsv")
    data.write_text(data.read_text().replace("ash", "elm", 1))
    assert clozebox("finetune", str(experiment / "two" / "seed-0"), str(party), *short) == 0
    assert "note: one/seed-0 has" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--layer", "1"), "for --probe, which is not given"),
        (("--probe", "--layer", "top"), "--layer is a number or all (got top)"),
        (("--probe", "--layer", "9"), "layer 9: there are 0 (the embedding) to 2"),
        (("--set", "finetuning.lr=no"), "finetuning.lr: must be a valid number"),
        (("--set", "train=none.tsv"), "none.tsv: cannot be read: No such file"),
        (("--set", "finetuning.seq_length=99"), "seq_length is 99, and the run's model has 32"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_written(
    clozebox: Clozebox,
    trained: Any,
    party: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    reason: str,
) -> None:
    assert clozebox("finetune", str(trained.path), str(party), *options) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert "Traceback" not in error
    assert not list(trained.path.glob("finetune/*/*.json"))


def test_a_run_that_is_not_done_is_fine_tuned_but_its_metrics_are_left_alone(
    clozebox: Clozebox, trained: Any, party: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained.write_status("interrupted")
    before = trained.metrics()
    sets = ("--set", "finetuning.seeds=[0]", "--set", "finetuning.epochs=1")
    assert clozebox("finetune", str(trained.path), str(party), *sets) == 0
    assert "the run is not done" in capsys.readouterr().err
    assert trained.metrics() == before
