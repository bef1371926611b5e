"""`clozebox config`: check, show and compare experiments."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clozebox.cli.context import open_sandbox, set_option
from clozebox.cli.remarks import print_warnings, raise_errors
from clozebox.cli.table import print_table
from clozebox.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from clozebox.config import Arm, Experiment, Reading

FILE = click.Path(path_type=Path)


@click.group(short_help="Check, show and compare experiments.")
def config() -> None:
    """An experiment is a TOML file: settings, and arms that change some of them."""


@config.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@set_option
def check(files: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """Say everything that is wrong with the files, or how many runs each asks for."""
    from clozebox.config import read_experiment

    sandbox, registry = open_sandbox()
    faults: list[str] = []
    for file in files:
        try:
            reading = read_experiment(file, registry, overrides, sandbox)
            raise_errors(print_warnings(reading))
        except UserError as error:
            faults.append(str(error))
            continue
        click.echo(f"{file}: {_runs_of(reading.experiment)}, nothing wrong")
    if faults:
        raise UserError("\n".join(faults))


@config.command()
@click.argument("file", type=FILE)
@click.option("--arm", "arm_name", metavar="ARM", help="Show this arm only.")
@click.option("--origins", is_flag=True, help="Say where each setting was given.")
@set_option
def show(file: Path, arm_name: str | None, origins: bool, overrides: tuple[str, ...]) -> None:
    """Print every setting that each arm reads, defaults included, as TOML."""
    from clozebox.config import Table, dotted, settings_of, written

    reading = _read(file, overrides)
    arms = [_arm(reading, arm_name)] if arm_name else reading.experiment.arms
    for index, arm in enumerate(arms):
        click.echo(("\n" if index else "") + f"# arm {arm.name}")
        given = reading.tables[arm.name]
        for path, value in Table(settings_of(arm)).leaves():
            line = f"{dotted(path)} = {written(value)}"
            origin = f"  # {given.origins.get(path, 'default')}" if origins else ""
            click.echo(f"{line:<48}{origin}".rstrip())


@config.command()
@click.argument("file", type=FILE)
@click.argument("first", metavar="ARM|FILE")
@click.argument("second", required=False, metavar="[ARM]")
@set_option
def diff(file: Path, first: str, second: str | None, overrides: tuple[str, ...]) -> None:
    """Print the settings in which two arms of FILE, or two files, differ.

    Two files are compared arm by arm; an arm that only one has is compared with the other's first.
    """
    left = _read(file, overrides)
    if second is not None:
        _print_difference(_arm(left, first), _arm(left, second), first, second)
        return
    right = _read(Path(first), overrides)
    others = {arm.name: arm for arm in right.experiment.arms}
    for arm in left.experiment.arms:
        other = others.get(arm.name, right.experiment.arms[0])
        _print_difference(arm, other, f"{file}: {arm.name}", f"{first}: {other.name}")


@config.command()
def schema() -> None:
    """Print a JSON Schema of experiments, with every installed component.

    Save it beside the experiments and begin a file with `#:schema schema.json`: editors with
    TOML support then complete and check settings.
    """
    from clozebox.config import json_schema

    click.echo(json.dumps(json_schema(open_sandbox().registry), indent=2))


def _runs_of(experiment: Experiment) -> str:
    arms = _count(len(experiment.arms), "arm")
    if experiment.sweep.space:
        return f"{arms} x {_count(experiment.sweep.trials, 'trial')} at seed {experiment.seeds[0]}"
    return f"{arms} x {_count(len(experiment.seeds), 'seed')}"


def _read(file: Path, overrides: Iterable[str]) -> Reading:
    from clozebox.config import read_experiment

    sandbox, registry = open_sandbox()
    return read_experiment(file, registry, tuple(overrides), sandbox)


def _arm(reading: Reading, name: str) -> Arm:
    arms = {arm.name: arm for arm in reading.experiment.arms}
    if name not in arms:
        hint = did_you_mean(name, arms)
        raise UserError(
            f"{reading.experiment.path}: no arm is named '{name}'{hint} ({_join(arms)})"
        )
    return arms[name]


def _print_difference(left: Arm, right: Arm, left_title: str, right_title: str) -> None:
    from clozebox.config import Table, dotted, settings_of

    ours: dict[str, Any] = {dotted(p): v for p, v in Table(settings_of(left)).leaves()}
    theirs: dict[str, Any] = {dotted(p): v for p, v in Table(settings_of(right)).leaves()}
    rows = [
        (key, _cell(ours, key), _cell(theirs, key))
        for key in dict.fromkeys((*ours, *theirs))
        if _cell(ours, key) != _cell(theirs, key)
    ]
    print_table(("setting", left_title, right_title), rows)


def _cell(settings: dict[str, Any], key: str) -> str:
    from clozebox.config import written

    return written(settings[key]) if key in settings else "-"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _join(names: Iterable[str]) -> str:
    return "arms: " + ", ".join(names)
