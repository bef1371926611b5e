"""`clozebox sweep --emit`: the sweep as a job for a cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clozebox.cli.context import PluginOptions

if TYPE_CHECKING:
    from clozebox.config import Experiment

KINDS = ("slurm", "kubernetes")


def refuse_idle_options(emit: str | None, **given: Any) -> None:
    """Raises UsageError for an option that only a generated job reads."""
    idle = [f"--{name}" for name, value in given.items() if value is not None]
    if emit is None and idle:
        raise click.UsageError(f"{', '.join(idle)}: read only with --emit")


def cluster_job(
    kind: str,
    experiment: Experiment,
    words: Sequence[str],
    *,
    workers: int | None,
    machines: int | None,
    devices: str | None,
    storage: str | None,
    image: str | None,
    claim: str | None,
) -> str:
    """The job; ``words`` are the arguments of `clozebox sweep` that every machine is given too.

    Raises:
        UserError: something that the job needs was not given.
    """
    from clozebox.sweep import plan_runs
    from clozebox.sweep.devices import ranks_of
    from clozebox.sweep.emit import ClusterJob, kubernetes, slurm

    plan, at_once = plan_runs(experiment), workers or 1
    named = 0 if devices in (None, "auto") else len(set(devices.split(",")))
    ours = ["--workers", str(at_once), *(["--devices", "auto"] if devices else [])]
    job = ClusterJob(
        name=experiment.name,
        command=[_program(kind), *_plugins(), "sweep", *words, *ours],
        folder=Path.cwd(),
        machines=machines or -(-len(plan) // at_once),
        gpus=(named or at_once * ranks_of(plan)) if devices else 0,
        storage=storage,
        image=image,
        claim=claim,
    )
    return (slurm if kind == "slurm" else kubernetes)(job)


def _program(kind: str) -> str:
    """The one of this environment, which a cluster's file system has too; an image has its own."""
    ours = Path(sys.executable).with_name("clozebox")
    return str(ours) if kind == "slurm" and ours.exists() else "clozebox"


def _plugins() -> list[str]:
    options = PluginOptions.given()
    names = [*options.enable, *(f"no:{name}" for name in options.disable)]
    return [word for name in [*names, *map(str, options.paths)] for word in ("-p", name)]
