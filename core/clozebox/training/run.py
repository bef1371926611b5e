"""One run from its directory to its end, whatever end that is."""

from __future__ import annotations

import fcntl
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clozebox.errors import UserError
from clozebox.evaluation import Yardsticks
from clozebox.training.budget import Plan, Spent
from clozebox.training.checkpoint import load_state, newest_checkpoint
from clozebox.training.checkpoint_writer import CheckpointWriter
from clozebox.training.console import Console
from clozebox.training.distributed import RankLost, World, joined
from clozebox.training.loop import Diverged, Keeping, Progress, train
from clozebox.training.metrics_log import MetricsLog
from clozebox.training.micro_batch import is_out_of_memory
from clozebox.training.provenance import record_session
from clozebox.training.record import Record, Silence
from clozebox.training.resume import restore, save
from clozebox.training.run_directory import Onlooker, RunDirectory
from clozebox.training.setup import Training, set_up, survey_costs
from clozebox.training.sharding import check_shardable
from clozebox.training.stopping import StopRequest
from clozebox.training.switches import choose

if TYPE_CHECKING:
    from clozebox.config.settings import Arm
    from clozebox.registry import Registry

DONE, FAILED = 0, 1


class Held(UserError):
    """Another process is at the run: nothing is wrong with it, and nothing was changed."""


def run_training(run: RunDirectory, registry: Registry, console: Console) -> int:
    """Train, or resume, and leave a status that says how it ended; returns the exit code.

    Raises:
        Held: another process trains it.
        UserError: bad input or a full disk; the status says ``failed``, and why.
    """
    with joined() as world:
        if world.is_main:
            with _only_process(run), StopRequest() as stop:
                return _to_its_end(run, registry, console, stop, world)
        with Path(os.devnull).open("w") as nowhere, StopRequest() as stop:
            return _to_its_end(Onlooker(run.path), registry, Console(nowhere), stop, world)


def enter_metrics(
    run: RunDirectory, arm: Arm, metrics: Mapping[str, float], say: Callable[[str], None]
) -> bool:
    """Add what was measured after the end of a run to its last evaluation, and tell its reporters.

    False, and nothing is written, where the run has not come to its end.

    Raises:
        UserError: the run is being trained.
    """
    with _only_process(run):
        checkpoint = newest_checkpoint(run.checkpoints)
        if checkpoint is None or (run.status() or {}).get("state") != "done":
            return False
        spent = {key: load_state(checkpoint)[key] for key in asdict(Spent())}
        log = MetricsLog(run.metrics_path, spent["step"])
        log.write({**spent, **metrics})
        log.sync()
        log.close()
        for config in arm.reporters:
            try:
                reporter = config.build()
                reporter.start(run, arm, spent["step"] + 1)
                reporter.log(spent["step"], metrics)
                reporter.finish("done", metrics)
            except Exception as error:
                say(f"the reporter {config.name} failed and is left out: {error!r}")
    return True


def _to_its_end(
    run: RunDirectory, registry: Registry, console: Console, stop: StopRequest, world: World
) -> int:
    try:
        if world.from_main((run.status() or {}).get("state") == "done"):
            console.say(f"{run.path} is done already")
            return DONE
        run.write_status("running")
        training = set_up(run, registry, console.say, world)
        return _train(training, registry, console, stop)
    except UserError as error:
        world.leave_word(str(error), exit_code=2)
        run.write_status("failed", reason=str(error))
        raise
    except SystemExit as end:
        world.leave_word("asked to stop", int(end.code or 0))
        saved = newest_checkpoint(run.checkpoints)
        reason = "stopped at once" if stop.can_save else "stopped before its first step"
        run.write_status("interrupted", reason=reason)
        console.say(
            f"{reason}; the same command goes on from {saved.name}"
            if saved
            else f"{reason}: nothing is saved; the same command starts it"
        )
        raise
    except RankLost as lost:
        run.write_status("failed", reason=str(lost))
        console.say(f"stopped: {lost}")
        return FAILED
    except Exception as error:
        world.leave_word(f"rank {world.rank}: {_reason(error)}", FAILED)
        run.write_status("failed", reason=_reason(error))
        (console.say if world.is_main else sys.stderr.write)(traceback.format_exc())
        return FAILED


def _train(training: Training, registry: Registry, console: Console, stop: StopRequest) -> int:
    arm = training.arm
    if arm.speed.shard:
        check_shardable(arm, training.world.size)
    cost = training.looking(partial(survey_costs, training))
    plan = Plan.of(arm.budget, cost)
    plan.require_a_step_each(arm.phases)
    spent, meter = restore(training, console.say)
    choose(training, console.say)
    if training.world.is_main:
        record_session(training, registry, cost, console.say)
    yardsticks = Yardsticks.of(arm.evaluations)
    record = _record(training, plan, spent, console)
    progress = Progress(spent, plan, meter)
    stop.can_save = True
    try:
        with closing(CheckpointWriter(console.say)) as writer:
            keeping = Keeping(partial(save, training, spent, meter, writer), writer.wait)
            result = train(training, progress, yardsticks, record, keeping, stop)
    except Diverged as error:
        record.finish("diverged", spent, reason=str(error))
        console.say(f"diverged: {error}")
        return FAILED
    except Exception as error:
        record.finish("failed", spent, reason=_reason(error))
        raise
    except SystemExit:
        record.finish("interrupted", spent, reason="stopped at once")
        raise
    if result is None:
        record.finish("interrupted", spent, reason="asked to stop")
        console.say(f"saved at step {spent.step}; the same command goes on from here")
        return stop.exit_code
    record.finish("done", spent, result=result)
    return DONE


def _record(training: Training, plan: Plan, spent: Spent, console: Console) -> Record:
    if not training.world.is_main:
        return Silence()
    reporters = [reporter.build() for reporter in training.arm.reporters]
    return Record(training.run, training.arm, plan, spent, reporters, console)


def _reason(error: Exception) -> str:
    if is_out_of_memory(error):
        return f"out of memory ({error}); a smaller speed.micro_batch_size gives the same result"
    return (
        str(error)
        if isinstance(error, UserError | RankLost)
        else f"{type(error).__name__}: {error}"
    )


@contextmanager
def _only_process(run: RunDirectory) -> Iterator[None]:
    """Hold the run against a second process; the lock goes with the process, however it ends."""
    with (run.path / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = (run.status() or {}).get("pid")
            raise Held(f"{run.path} is being trained by process {owner} already") from None
        yield
