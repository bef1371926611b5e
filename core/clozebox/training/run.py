"""One run from its directory to its end, whatever end that is."""

from __future__ import annotations

import fcntl
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from clozebox.errors import UserError
from clozebox.evaluation import Yardsticks
from clozebox.training.budget import Plan, Spent
from clozebox.training.checkpoint import load_state, newest_checkpoint
from clozebox.training.console import Console
from clozebox.training.loop import Diverged, Progress, train
from clozebox.training.metrics_log import MetricsLog
from clozebox.training.provenance import record_session
from clozebox.training.record import Record
from clozebox.training.resume import restore, save
from clozebox.training.run_directory import RunDirectory
from clozebox.training.setup import Training, set_up, survey_costs
from clozebox.training.stopping import StopRequest

if TYPE_CHECKING:
    from clozebox.registry import Registry

DONE, FAILED = 0, 1


def run_training(run: RunDirectory, registry: Registry, console: Console) -> int:
    """Train, or resume, and leave a status that says how it ended; returns the exit code.

    Raises:
        UserError: bad input or a full disk; the status says ``failed``, and why.
    """
    with _only_process(run), StopRequest() as stop:
        if (run.status() or {}).get("state") == "done":
            console.say(f"{run.path} is done already")
            return DONE
        run.write_status("running")
        try:
            training = set_up(run, registry, console.say)
            return _train(training, registry, console, stop)
        except UserError as error:
            run.write_status("failed", reason=str(error))
            raise
        except SystemExit:
            run.write_status("interrupted", reason="stopped before its first step")
            console.say(
                "stopped before the first step: nothing to save; the same command starts it"
            )
            raise
        except Exception as error:
            run.write_status("failed", reason=_reason(error))
            console.say(traceback.format_exc())
            return FAILED


def enter_metrics(run: RunDirectory, metrics: Mapping[str, float]) -> bool:
    """Add what was measured after the end of a run to its last evaluation.

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
    return True


def _train(training: Training, registry: Registry, console: Console, stop: StopRequest) -> int:
    run, arm = training.run, training.arm
    cost = survey_costs(training)
    plan = Plan.of(arm.budget, cost)
    plan.require_a_step_each(arm.phases)
    spent, meter = restore(training, console.say)
    record_session(training, registry, cost, console.say)
    yardsticks = Yardsticks.of(arm.evaluations)
    record = Record(run, arm, plan, spent, [r.build() for r in arm.reporters], console)
    progress = Progress(spent, plan, meter)
    stop.can_save = True
    try:
        result = train(
            training, progress, yardsticks, record, lambda: save(training, spent, meter), stop
        )
    except Diverged as error:
        record.finish("diverged", spent, reason=str(error))
        console.say(f"diverged: {error}")
        return FAILED
    except Exception as error:
        record.finish("failed", spent, reason=_reason(error))
        raise
    if result is None:
        record.finish("interrupted", spent, reason="asked to stop")
        console.say(f"saved at step {spent.step}; the same command goes on from here")
        return stop.exit_code
    record.finish("done", spent, result=result)
    return DONE


def _reason(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return f"out of memory ({error}); a smaller speed.micro_batch_size gives the same result"
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


@contextmanager
def _only_process(run: RunDirectory) -> Iterator[None]:
    """Hold the run against a second process; the lock goes with the process, however it ends."""
    with (run.path / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = (run.status() or {}).get("pid")
            raise UserError(f"{run.path} is being trained by process {owner} already") from None
        yield
