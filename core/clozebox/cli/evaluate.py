"""`clozebox evaluate`: a trained run and its yardsticks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from clozebox.cli.enter import enter
from clozebox.cli.trained_run import open_run

if TYPE_CHECKING:
    from clozebox.components import EvaluationTaskConfig
    from clozebox.registry import Registry


@click.command()
@click.argument("run")
@click.option(
    "--task", metavar="NAME", help="Measure with this evaluation task, not with the run's own."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of that task, such as path=pairs.jsonl; may be repeated.",
)
@click.option(
    "--keep", is_flag=True, help="Add what --task finds to the run's metrics, for `compare`."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    run: str, task: str | None, overrides: tuple[str, ...], keep: bool, as_json: bool
) -> None:
    """Measure the newest checkpoint of RUN: a folder, or such as mask_rate/token-15/seed-0.

    clozebox evaluate mask_rate/token-15/seed-0 --task minimal_pairs --set path=blimp --keep
    """
    if task is None and (overrides or keep):
        raise click.UsageError("--set and --keep are for --task, which is not given.")
    directory, registry = open_run(run)  # before torch is loaded, which takes its time
    asked = None if task is None else _asked(task, overrides, registry)

    from clozebox.training.loop import evaluate as evaluate_all
    from clozebox.training.resume import load_trained
    from clozebox.training.setup import set_up

    def say(text: str) -> None:
        click.echo(text, err=True)

    training = set_up(directory, registry, say)
    step = load_trained(training, say)
    tasks = training.arm.evaluations if asked is None else asked
    found = evaluate_all(training, [one.build() for one in tasks])
    if as_json:
        told = {"intervals": intervals} if (intervals := _intervals(found)) else {}
        click.echo(json.dumps({"step": step, **found, **told}))
    else:
        _print(f"{directory.path}, step {step}", found)
    if keep:
        if enter(training, found):
            say(f"kept in {directory.metrics_path}")
    elif task is not None:
        say("only shown; --keep adds it to the run's metrics, where `compare` looks")


def _print(title: str, found: Mapping[str, float]) -> None:
    click.echo(title)
    intervals = _intervals(found)
    width = max(map(len, found), default=0)
    for name, value in found.items():
        low, high = intervals.get(name, (None, None))
        chance = "" if low is None else f"  [{low:.4f}, {high:.4f}]"
        click.echo(f"  {name:<{max(width, 24)}} {value:.4f}{chance}")


def _asked(task: str, overrides: Sequence[str], registry: Registry) -> list[EvaluationTaskConfig]:
    """The task of that name, or all that a plugin of that name adds, with these settings."""
    from clozebox.components import EvaluationTaskConfig
    from clozebox.config.overrides import parse_override
    from clozebox.testing.check import components_named, settings_of

    given = {key: value for text in overrides for key, value in parse_override(text).values.items()}
    found = components_named(task, registry, "evaluation task")
    made = [settings_of(each, given) for each in found]
    return [one for one in made if isinstance(one, EvaluationTaskConfig)]


def _intervals(found: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """The 95 % intervals of the metrics that know theirs."""
    from clozebox.evaluation import Accuracy

    return {
        name: (value.low, value.high)
        for name, value in found.items()
        if isinstance(value, Accuracy)
    }
