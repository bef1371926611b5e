"""`clozebox sweep --dry-run`: the runs of a plan, and what they will cost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from clozebox.cli.table import print_table
from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.sweep import Workspace
    from clozebox.sweep.costs import ArmCost

MOST_LISTED = 24


def print_plan(workspace: Workspace) -> None:
    """Every run and where it will be, in order."""
    from clozebox.sweep import plan_runs

    plan, experiment = plan_runs(workspace.experiment), workspace.experiment
    click.echo(f"{experiment.name}: {experiment.question}")
    click.echo(f"{len(experiment.arms)} arm(s), {len(plan)} run(s), in this order:")
    width = max(len(run.label) for run in plan)
    for run in plan[:MOST_LISTED]:
        click.echo(f"  {run.label:<{width}}  {workspace.root / run.folder}")
    if len(plan) > MOST_LISTED:
        click.echo(f"  ... and {len(plan) - MOST_LISTED} more")
    sweep = experiment.sweep
    if sweep.space and sweep.fresh_seeds:
        click.echo(f"  then the best of each arm on {sweep.fresh_seeds} fresh seed(s)")


def print_costs(workspace: Workspace, workers: int) -> None:
    """Count and time every arm, and print what its runs will cost.

    An arm that cannot be trained is named, and the others are told all the same.
    """
    from clozebox.sweep import plan_runs
    from clozebox.sweep.costs import cost_of, what_same_steps_hide

    experiment = workspace.experiment
    runs = Counter(run.arm.name for run in plan_runs(experiment))
    if experiment.sweep.space:
        runs.update({arm.name: experiment.sweep.fresh_seeds for arm in experiment.arms})
    costs, faults = [], []
    for arm in experiment.arms:
        try:
            cost = cost_of(workspace, arm, experiment.seeds[0], click.echo)
            costs.append((cost, _row(cost, runs[arm.name])))
        except UserError as error:
            faults.append(f"arm {arm.name}: {error}")
        except Exception as error:  # a component's own: the run would fail of it
            faults.append(f"arm {arm.name}: {type(error).__name__}: {error}")
    if costs:
        click.echo("what it costs (FLOPs are counted; time is measured, on this machine):")
        header = ("arm", "runs", "steps", "tokens", "predictions", "FLOPs a run", "time a run")
        print_table(header, [row for _, row in costs])
        _print_total([cost for cost, _ in costs], runs, workers)
        if experiment.sweep.space:
            click.echo("of a search: as the arms stand; what is searched may change it")
        for line in what_same_steps_hide([cost for cost, _ in costs]):
            click.echo(line)
    if faults:
        raise UserError("\n".join(faults))


def _row(cost: ArmCost, runs: int) -> tuple[str, ...]:
    from clozebox.sweep.progress import duration

    return (
        cost.arm.name,
        str(runs),
        f"{cost.steps:,}",
        f"{cost.steps * cost.step.tokens:.3g}",
        f"{cost.steps * cost.step.predictions:.3g}",
        f"{cost.flops:.3g}",
        duration(cost.seconds),
    )


def _print_total(costs: list[ArmCost], runs: Counter[str], workers: int) -> None:
    from clozebox.sweep.progress import duration

    flops = sum(runs[cost.arm.name] * cost.flops for cost in costs)
    seconds = sum(runs[cost.arm.name] * cost.seconds for cost in costs)
    total = sum(runs[cost.arm.name] for cost in costs)
    click.echo(
        f"together {total} run(s), {flops:.3g} FLOPs, {duration(seconds)} on {costs[0].device} one "
        f"after another" + (f", {duration(seconds / workers)} at best by {workers}" * (workers > 1))
    )
    at_the_end = {one.name for cost in costs for one in cost.arm.evaluations if one.when == "end"}
    if at_the_end:
        click.echo(f"not in it: {', '.join(sorted(at_the_end))}, at the end of each run")
