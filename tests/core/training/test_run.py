"""A run from its directory to its end, whatever end that is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.core.training.outcome import final, interrupt_after, same, told

from clozebox.errors import UserError
from clozebox.training import RunDirectory
from clozebox.training.checkpoint import newest_checkpoint
from clozebox.training.console import Console
from clozebox.training.run import run_training

MakeRun = Callable[..., RunDirectory]


@pytest.fixture
def train(registry: Any) -> Callable[[RunDirectory], int]:
    return lambda run: run_training(run, registry, Console())


def test_a_run_leaves_what_it_did_and_how_it_ended(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    run = make_run(reporters=["told"])
    assert train(run) == 0
    status = run.status()
    assert status is not None
    assert (status["state"], status["step"], status["steps"]) == ("done", 12, 12)
    lines = run.metrics()
    assert [line["step"] for line in lines if "train/hidden_loss" in line] == [3, 6, 9, 12]
    evaluations = [line for line in lines if "eval/hidden_loss" in line]
    assert [line["step"] for line in evaluations] == [6, 12]
    assert status["result"]["eval/hidden_loss"] == pytest.approx(
        evaluations[-1]["eval/hidden_loss"]
    )
    assert all(a["flops"] <= b["flops"] for a, b in zip(lines, lines[1:], strict=False))
    provenance = json.loads((run.path / "provenance.json").read_text())
    [session] = provenance["sessions"]
    assert session["numerics"]["torch"] == torch.__version__
    reported = (run.path / "told.txt").read_text().splitlines()
    assert reported[0] == "start 1"
    assert reported[-1] == "finish done"


def test_it_learns(make_run: MakeRun, train: Callable[[RunDirectory], int]) -> None:
    run = make_run(
        objectives=["ahead"],
        masking="none",
        budget={"steps": 80},
        train={"evals": 20},
        optim={"lr": 0.01},
    )
    assert train(run) == 0
    losses = [line["eval/ahead_loss"] for line in run.metrics() if "eval/ahead_loss" in line]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    "choice",
    [
        {"objectives": ["hidden", "pair"]},
        {"objectives": ["ahead", "behind"], "masking": "none"},
        {
            "objectives": ["hidden", "ahead", "behind"],
            "objective": {
                "hidden": {"share": 0.5},
                "ahead": {"share": 0.3},
                "behind": {"share": 0.2},
            },
        },
        {"masking": {"name": "toy", "rate": 0.5, "final_rate": 0.1, "schedule": "cosine"}},
    ],
    ids=["hidden+pair", "both sides", "mixture", "falling rate"],
)
def test_resuming_is_exact_to_the_bit(
    make_run: MakeRun,
    train: Callable[[RunDirectory], int],
    choice: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Dropout on: without it, a run that forgets its random state would still pass.
    choice = {**choice, "encoder": {"name": "toy", "dropout": 0.1}}
    unbroken = make_run("unbroken", **choice)
    assert train(unbroken) == 0
    for stop_after in (1, 2, 3, 5, 6, 11):
        broken = make_run(f"broken-{stop_after}", **choice)
        with monkeypatch.context() as patch:
            interrupt_after(patch, stop_after)
            assert train(broken) == 130
        status = broken.status()
        assert status is not None
        assert (status["state"], status["step"]) == ("interrupted", stop_after)
        assert train(broken) == 0
        assert same(final(unbroken), final(broken)), f"stopped after step {stop_after}"
        assert told(unbroken) == told(broken), f"stopped after step {stop_after}"


def signals_in_evaluation(patch: pytest.MonkeyPatch, evaluation: int, times: int) -> None:
    """So many Ctrl-C while evaluation number ``evaluation`` of the process goes on."""
    import clozebox.training.loop as loop

    original, made = loop.evaluate, [0]

    def evaluate(*args: Any) -> Any:
        made[0] += 1
        for _ in range(times if made[0] == evaluation else 0):
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args)

    patch.setattr(loop, "evaluate", evaluate)


def test_a_stop_in_the_last_evaluation_costs_no_step(
    make_run: MakeRun,
    train: Callable[[RunDirectory], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import clozebox.training.loop as loop

    choice = {"encoder": {"name": "toy", "dropout": 0.1}, "reporters": ["told"]}
    unbroken, broken = make_run("unbroken", **choice), make_run("broken", **choice)
    assert train(unbroken) == 0
    with monkeypatch.context() as patch:
        signals_in_evaluation(patch, evaluation=2, times=2)
        with pytest.raises(SystemExit) as end:
            train(broken)
    assert end.value.code == 130
    said = capsys.readouterr().out
    assert "stopping; the evaluation of step 12 is finished first" in said
    assert "stopped at once; the same command goes on from step-00000012" in said
    assert (broken.status() or {})["state"] == "interrupted"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", lambda *args: pytest.fail("a step was lost"))
        assert train(broken) == 0
    assert same(final(unbroken), final(broken))
    assert told(unbroken) == told(broken), "its evaluation is on record"
    assert (unbroken.status() or {})["result"] == (broken.status() or {})["result"]


def test_a_stop_in_an_evaluation_lets_it_end(
    make_run: MakeRun,
    train: Callable[[RunDirectory], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unbroken, broken = make_run("unbroken"), make_run("broken")
    assert train(unbroken) == 0
    for evaluation, step, code, state in ((1, 6, 130, "interrupted"), (1, 12, 0, "done")):
        with monkeypatch.context() as patch:
            signals_in_evaluation(patch, evaluation, times=1)
            assert train(broken) == code
        said = f"stopping; the evaluation of step {step} is finished first"
        assert capsys.readouterr().out.count(said) == 1
        assert (broken.status() or {})["state"] == state
    assert told(unbroken) == told(broken)


def test_a_run_killed_after_its_last_evaluation_has_it_on_record_once(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    run = make_run()
    assert train(run) == 0
    before = told(run)
    run.write_status("running", result=None)  # as it was a moment before it was done
    assert train(run) == 0
    assert told(run) == before
    assert (run.status() or {})["result"]


def test_how_often_it_looks_up_changes_nothing(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    dropout = {"encoder": {"name": "toy", "dropout": 0.1}}
    seldom = make_run("seldom", train={"log_every": 100, "evals": 1}, **dropout)
    often = make_run("often", train={"log_every": 1, "evals": 12, "checkpoint_every": 1}, **dropout)
    assert train(seldom) == train(often) == 0
    assert same(final(seldom), final(often))


def test_two_seeds_differ_and_one_seed_repeats(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    runs = [make_run("a", seed=1), make_run("b", seed=1), make_run("c", seed=2)]
    assert [train(run) for run in runs] == [0, 0, 0]
    assert same(final(runs[0]), final(runs[1]))
    assert not same(final(runs[0]), final(runs[2]))


def test_a_diverging_run_stops_with_its_last_good_checkpoint(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    run = make_run(optim={"lr": 1e30, "warmup": 0.0, "max_grad_norm": 1e30})
    assert train(run) == 1
    status = run.status()
    assert status is not None
    assert status["state"] == "diverged"
    assert "not finite" in status["reason"]
    last = newest_checkpoint(run.checkpoints)
    if last is not None:
        weights = load_file(last / "model.safetensors")
        assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_failing_run_says_why(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import clozebox.training.loop as loop

    def raise_it(*args: Any) -> None:
        raise RuntimeError("the cat stood on the keyboard")

    monkeypatch.setattr(loop, "train_step", raise_it)
    run = make_run(reporters=["told"])
    assert train(run) == 1
    status = run.status()
    assert status is not None
    assert status["state"] == "failed"
    assert "the cat stood on the keyboard" in status["reason"]
    assert (run.path / "told.txt").read_text().splitlines()[-1] == "finish failed"


def test_a_reporter_that_raises_is_named_and_the_run_goes_on(
    make_run: MakeRun,
    train: Callable[[RunDirectory], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run(reporters=["told"])
    (run.path / "told.txt").mkdir()  # so that it cannot be written
    assert train(run) == 0
    assert "Told failed and is left out" in capsys.readouterr().out


def test_speed_can_be_changed_when_a_run_is_taken_up_again(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        assert train(run) == 130
    again = make_run(speed={"micro_batch_size": 2})
    assert again.path == run.path
    assert again.resolved()["settings"]["speed"]["micro_batch_size"] == 2
    assert train(again) == 0


def test_a_run_says_what_kind_of_example_auto_came_to(make_run: MakeRun) -> None:
    for objectives, kind in ((["hidden"], "single"), (["hidden", "pair"], "pair")):
        run = make_run(kind, objectives=objectives)
        assert run.resolved()["settings"]["train"]["examples"] == "auto"
        assert run.resolved()["examples"] == kind


def test_every_start_of_a_run_is_on_record(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        train(run)
    train(run)
    assert len(json.loads((run.path / "provenance.json").read_text())["sessions"]) == 2


def test_other_text_under_a_run_is_refused(
    make_run: MakeRun, train: Callable[[RunDirectory], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        train(run)
    last = newest_checkpoint(run.checkpoints)
    assert last is not None
    monkeypatch.setattr(
        "clozebox.training.resume.load_state", lambda _: {"tokens_read": "of another corpus"}
    )
    with pytest.raises(UserError, match="was trained on other text"):
        train(run)


def test_a_corpus_too_small_for_its_held_out_pairs_is_refused_before_the_first_step(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    run = make_run(corpus={"name": "toy", "documents": 6}, objectives=["pair"], masking="none")
    with pytest.raises(UserError):
        train(run)
    status = run.status()
    assert status is not None
    assert (status["state"], status["step"]) == ("failed", 0)
    assert not run.metrics()


def test_a_run_that_never_made_a_step_gives_way_to_its_correction(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    with pytest.raises(UserError, match="toaster"):
        train(make_run(speed={"device": "toaster"}, train={"batch_size": 5}))
    assert train(make_run(train={"batch_size": 4})) == 0


def test_a_done_run_is_not_trained_again(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    run = make_run()
    assert train(run) == 0
    before = run.metrics()
    assert train(run) == 0
    assert run.metrics() == before


def test_other_settings_in_the_same_folder_are_refused_with_the_keys_that_differ(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    assert train(make_run()) == 0
    with pytest.raises(UserError, match=r"train\.batch_size: 6 there, 5 now"):
        make_run(train={"batch_size": 5})


@pytest.mark.parametrize("budget", [{"tokens": 900}, {"flops": 4e7}])
def test_tokens_and_flops_end_the_run_when_they_are_spent(
    make_run: MakeRun, train: Callable[[RunDirectory], int], budget: dict[str, float]
) -> None:
    run = make_run(budget={**budget, "steps": None})
    assert train(run) == 0
    last = run.metrics()[-1]
    [(kind, amount)] = budget.items()
    assert last[kind] == pytest.approx(amount, rel=0.25)


def test_a_budget_of_seconds_ends_with_the_first_step_that_reaches_it(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    run = make_run(budget={"seconds": 1.0, "steps": None}, train={"log_every": 1})
    assert train(run) == 0
    seconds = [line["seconds"] for line in run.metrics() if "train/hidden_loss" in line]
    assert seconds[-1] >= 1.0
    assert all(second < 1.0 for second in seconds[:-1])


def test_equal_flops_give_the_costlier_objective_fewer_steps(
    make_run: MakeRun, train: Callable[[RunDirectory], int]
) -> None:
    spent = {}
    for name, choice in {
        "hidden": {},
        "ahead": {"objectives": ["ahead"], "masking": "none"},
    }.items():
        run = make_run(name, budget={"flops": 1e8, "steps": None}, **choice)
        assert train(run) == 0
        spent[name] = run.metrics()[-1]
    assert spent["ahead"]["step"] < spent["hidden"]["step"]
    assert spent["ahead"]["flops"] == pytest.approx(spent["hidden"]["flops"], rel=0.08)


@pytest.mark.slow
def test_a_run_survives_kill_9_wherever_it_strikes(make_run: MakeRun) -> None:
    """Real processes, real SIGKILLs, and the same bits in the end as an unbroken process gives."""
    settings: dict[str, Any] = {
        "budget": {"steps": 60},
        "train": {"checkpoint_every": 5, "evals": 6},
        "encoder": {"name": "toy", "dropout": 0.1},
        "speed": {"threads": 1},
    }
    unbroken = make_run("unbroken", **settings)
    assert _process(unbroken.path).wait(timeout=120) == 0
    killed = make_run("killed", **settings)
    kills = 0
    while True:
        process = _process(killed.path)
        at = (len(killed.metrics()) + 1 + kills) % 7 + 1
        while process.poll() is None:
            if len(killed.metrics()) >= at + 3 * kills and kills < 5:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.002)
        if process.wait(timeout=120) == 0:
            break
    assert kills >= 2
    assert same(final(unbroken), final(killed))
    assert told(unbroken) == told(killed)


def _process(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "clozebox.training", str(path)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def test_sigterm_saves_and_exits_143(make_run: MakeRun) -> None:
    run = make_run(budget={"steps": 100_000}, train={"log_every": 1, "evals": 1})
    process = _process(run.path)
    while len(run.metrics()) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    status = run.status()
    assert status is not None
    assert status["state"] == "interrupted"
    assert newest_checkpoint(run.checkpoints) is not None


def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "clozebox.training", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is not a run" in done.stderr
    assert "Traceback" not in done.stderr
