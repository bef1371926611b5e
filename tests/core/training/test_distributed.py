"""How many ranks train a run changes nothing but the time it takes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.core.training.outcome import final, interrupt_after, told
from tests.core.training.ranks import in_ranks

from clozebox.errors import UserError
from clozebox.pretraining.mixture import share_out
from clozebox.training import RunDirectory
from clozebox.training.checkpoint import newest_checkpoint
from clozebox.training.console import Console
from clozebox.training.distributed import World, joined
from clozebox.training.run import run_training
from clozebox.training.setup import Training, set_up, survey_costs
from clozebox.training.sharding import check_shardable

MakeRun = Callable[..., RunDirectory]
Train = Callable[..., list[int]]

CHOICES: dict[str, dict[str, Any]] = {
    # Six sequences among four ranks: parts of one and of two.
    "hidden+pair": {"objectives": ["hidden", "pair"], "speed": {"micro_batch_size": 1}},
    # Of six sequences a rank of four has no part of one objective or another.
    "mixture": {
        "objectives": ["hidden", "ahead", "behind"],
        "objective": {
            "hidden": {"share": 0.5},
            "ahead": {"share": 0.3},
            "behind": {"share": 0.2},
        },
        "masking": {"name": "toy", "rate": 0.5, "final_rate": 0.1, "schedule": "cosine"},
    },
    "phases": {
        "objectives": ["hidden", "ahead"],
        "phase": [
            {"share": 0.5, "objectives": ["ahead"]},
            {"share": 0.5, "objectives": ["hidden"]},
        ],
    },
}


@pytest.fixture
def train(registry: Any, tmp_path: Path) -> Train:
    """``train(run, ranks)``: the exit code of each."""

    def train(run: RunDirectory, ranks: int = 1, before: Callable[[int], None] = bool) -> list[int]:
        if ranks == 1:
            return [run_training(run, registry, Console())]

        def work(rank: int) -> int:
            before(rank)
            return run_training(run, registry, Console())

        return in_ranks(ranks, tmp_path, work)

    return train


def status_of(run: RunDirectory) -> dict[str, Any]:
    status = run.status()
    assert status is not None
    return status


def assert_alike(one: RunDirectory, other: RunDirectory) -> None:
    """What was learned and what was told: the same but for the last bits of sums."""
    mine, theirs = told(one), told(other)
    assert [line.keys() for line in mine] == [line.keys() for line in theirs]
    for here, there in zip(mine, theirs, strict=True):
        assert (here["step"], here["tokens"], here["flops"]) == (
            there["step"],
            there["tokens"],
            there["flops"],
        )
        assert here == pytest.approx(there, rel=1e-4, abs=1e-6)
    mine, theirs = final(one), final(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.parametrize(
    ("name", "sizes"), [("hidden+pair", (4,)), ("mixture", (2, 4)), ("phases", (2,))]
)
def test_two_and_four_ranks_train_what_one_does(
    make_run: MakeRun, train: Train, name: str, sizes: tuple[int, ...]
) -> None:
    choice = CHOICES[name] | {"budget": {"steps": 8}}
    alone = make_run("alone", **choice)
    assert train(alone) == [0]
    for ranks in sizes:
        together = make_run(f"{ranks}-ranks", **choice)
        assert train(together, ranks) == [0] * ranks
        assert_alike(alone, together)


def test_the_same_test_catches_a_mean_over_ranks(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, together = make_run("alone"), make_run("together")
    assert train(alone) == [0]
    monkeypatch.setattr(World, "add_up", lambda world, values, what=None: dict(values))
    assert train(together, 2) == [0, 0]
    with pytest.raises(AssertionError):
        assert_alike(alone, together)


def test_a_run_goes_on_with_any_number_of_ranks(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = CHOICES["mixture"] | {"train": {"log_every": 4}}
    unbroken, broken = make_run("unbroken", **choice), make_run("broken", **choice)
    assert train(unbroken) == [0]

    def interrupt_one(rank: int) -> None:
        if rank == 1:  # rank 0, which writes, hears of it from this one
            interrupt_after(monkeypatch, 3)

    assert train(broken, 2, interrupt_one) == [130, 130]
    assert (status_of(broken)["state"], status_of(broken)["step"]) == ("interrupted", 3)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        assert train(broken) == [130]
    assert status_of(broken)["step"] == 6
    assert train(broken, 4) == [0] * 4
    assert_alike(unbroken, broken)


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_ranks_share_a_step_in_order_masks_and_all(
    make_run: MakeRun, registry: Any, size: int
) -> None:
    training = set_up(make_run(**CHOICES["mixture"]), registry, print)
    [whole] = training.batches(5, progress=0.4)
    parts = [training.batches(5, 0.4, World(rank, size))[0] for rank in range(size)]
    assert {len(part.input_ids) for part in parts} <= {6 // size, -(-6 // size)}
    for name in ("input_ids", "labels"):
        drawn = torch.cat([getattr(part.masked, name) for part in parts])
        assert torch.equal(drawn, getattr(whole.masked, name))
    assert torch.equal(torch.cat([part.uniform("any") for part in parts]), whole.uniform("any"))
    objectives = training.model.each_objective()
    read = [
        {
            reader.objective.name: reader.batch.places.tolist()
            for reader in share_out(objectives, one)
        }
        for one in (whole, *parts)
    ]
    for name, places in read[0].items():
        assert sum((part.get(name, []) for part in read[1:]), []) == places


def test_a_rank_reads_and_masks_only_its_own_sequences(
    make_run: MakeRun, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = set_up(make_run(speed={"micro_batch_size": 1}), registry, print)
    examples, fetched = training.stream.examples, list[int]()
    rows = examples.rows

    def told(first: int, count: int) -> Any:
        fetched.extend(range(first, first + count))
        return rows(first, count)

    monkeypatch.setattr(examples, "rows", told)
    for step in (0, 1):
        assert len(training.batches(step, 0.0, World(1, 2))) == 3
    assert fetched == [3, 4, 5, 9, 10, 11]


def test_every_rank_plans_the_same_budget(make_run: MakeRun, registry: Any) -> None:
    training = set_up(make_run(**CHOICES["phases"]), registry, print)
    assert survey_costs(replace(training, world=World(1, 3))) == survey_costs(training)


def test_a_budget_of_seconds_is_spent_at_the_same_step_on_every_rank(
    make_run: MakeRun, train: Train
) -> None:
    run = make_run(budget={"seconds": 0.3, "steps": None}, train={"log_every": 1})
    assert train(run, 2) == [0, 0]
    seconds = [line["seconds"] for line in run.metrics() if "train/hidden_loss" in line]
    assert seconds[-1] >= 0.3 > seconds[-2]


def test_only_rank_0_writes(make_run: MakeRun, train: Train) -> None:
    run = make_run(reporters=["told"])

    def watch(rank: int) -> None:
        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if writes and str(arguments[0]).startswith(str(run.path)):
                print(f"rank {rank} opened {arguments[0]}", file=sys.stderr)
                os._exit(77)

        if rank:
            sys.addaudithook(audit)

    assert train(run, 2, watch) == [0, 0]
    assert (run.path / "told.txt").read_text().count("finish done") == 1


def fail_at_step(monkeypatch: pytest.MonkeyPatch, number: int, fail: Callable[[], None]) -> None:
    import clozebox.training.loop as loop

    original, taken = loop.train_step, [0]

    def step(training: Training, *rest: Any) -> Any:
        taken[0] += 1
        if taken[0] == number:
            fail()
        return original(training, *rest)

    monkeypatch.setattr(loop, "train_step", step)


def raise_it() -> None:
    raise RuntimeError("the cat stood on the keyboard")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_error_on_one_rank_ends_all_with_its_reason(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    codes = train(run, 3, lambda rank: rank == 2 and fail_at_step(monkeypatch, 4, raise_it))
    assert codes == [1, 1, 1]
    assert status_of(run)["state"] == "failed"
    assert status_of(run)["reason"] == "rank 2: RuntimeError: the cat stood on the keyboard"


def test_a_rank_that_dies_ends_all(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clozebox.training.distributed.FAREWELL", timedelta(seconds=0.1))
    run = make_run()
    codes = train(run, 3, lambda rank: rank == 1 and fail_at_step(monkeypatch, 4, die))
    assert codes == [1, -9, 1]
    assert status_of(run)["state"] == "failed"
    assert "another rank is gone" in status_of(run)["reason"]


def test_a_gradient_that_is_not_finite_on_one_rank_stops_all_before_the_update(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    import clozebox.training.step as step

    def poison(rank: int) -> None:
        original = step.weighted_loss
        if rank == 1:
            monkeypatch.setattr(step, "weighted_loss", lambda *told: original(*told) * float("nan"))

    run = make_run()
    assert train(run, 2, poison) == [1, 1]
    assert status_of(run)["state"] == "diverged"
    assert newest_checkpoint(run.checkpoints) is None


def test_a_step_of_too_few_sequences_is_refused(make_run: MakeRun, registry: Any) -> None:
    with pytest.raises(UserError, match=r"train\.batch_size = 6 .* 7 ranks"):
        set_up(make_run(), registry, print, World(0, 7))


def test_a_model_in_parts_learns_what_a_whole_one_does(make_run: MakeRun, train: Train) -> None:
    choice: dict[str, Any] = {"objectives": ["hidden", "pair"], "budget": {"steps": 8}}
    alone, parts = make_run("alone", **choice), make_run("parts", **choice, speed={"shard": True})
    assert train(alone) == [0]
    assert train(parts, 2) == [0, 0]
    assert_alike(alone, parts)


def test_each_rank_holds_its_part_alone(make_run: MakeRun, registry: Any, tmp_path: Path) -> None:
    run = make_run(speed={"shard": True})

    def work(rank: int) -> int:
        with joined() as world:
            training = set_up(run, registry, print, world)
            held = sum(p.to_local().numel() for p in training.model.parameters())
            return int(held > 0.55 * training.model.num_parameters())

    assert in_ranks(2, tmp_path, work) == [0, 0]


def test_a_model_in_parts_leaves_out_what_nobody_reads(
    make_run: MakeRun, registry: Any, tmp_path: Path
) -> None:
    run = make_run(speed={"shard": True}, encoder="bert")

    def work(rank: int) -> int:
        with joined() as world:
            training = set_up(run, registry, print, world)
            encoder: Any = training.model.encoder
            return int(not encoder._can_leave_out(read=1, computed=10))

    assert in_ranks(2, tmp_path, work) == [0, 0]


def test_a_model_in_parts_goes_on_whole_and_the_other_way_round(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = CHOICES["phases"] | {"budget": {"steps": 9}}
    unbroken, broken = make_run("unbroken", **choice), make_run("broken", **choice)
    assert train(unbroken) == [0]
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        assert train(broken) == [130]
    in_parts = make_run("broken", **choice, speed={"shard": True})
    assert train(in_parts, 2, lambda rank: interrupt_after(monkeypatch, 3)) == [130, 130]
    whole = make_run("broken", **choice)
    assert status_of(whole)["step"] == 6
    assert train(whole) == [0]
    assert_alike(unbroken, broken)


@pytest.mark.parametrize(
    ("ranks", "change", "reason"),
    [
        (1, {}, "a single rank"),
        (4, {}, "is not a multiple of 4 ranks"),
        (2, {"objectives": ["hidden", "ahead"], "objective": {"ahead": {"share": 0.5}}}, "ahead"),
    ],
)
def test_parts_that_ranks_would_not_gather_alike_are_refused(
    make_arm: Callable[..., Any], ranks: int, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=f"speed.shard = true.*{reason}"):
        check_shardable(make_arm(speed={"shard": True}, **change), ranks)
