"""`clozebox show`: one training example as every objective of an arm sees it."""

from __future__ import annotations

import os
import shutil
import textwrap
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from clozebox.cli.chosen_arm import chosen_arm
from clozebox.cli.context import open_sandbox, set_option

if TYPE_CHECKING:
    from clozebox.config import Arm
    from clozebox.report.styled import Line
    from clozebox.training.setup import Learner

WIDEST = 110
"""Columns; longer lines of tokens are hard to follow."""
STYLES: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        "plain": {},
        "strong": {"bold": True},
        "faint": {"dim": True},
        "masked": {"fg": "yellow"},
        "random": {"fg": "red"},
        "replaced": {"fg": "red"},
        "kept": {"fg": "cyan"},
        "label": {"fg": "green"},
    }
)


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--arm", "arm_name", metavar="NAME", help="Which arm.  [default: the first]")
@click.option("--seed", type=click.IntRange(min=0), help="Which seed.  [default: the first]")
@click.option(
    "--example",
    "place",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which example of the training stream; every step takes the next train.batch_size.",
)
@click.option(
    "--progress",
    type=click.FloatRange(0, 1),
    help="The share of the training that is done, for what changes over it.  "
    "[default: the beginning, and that of each phase]",
)
@click.option(
    "--width", type=click.IntRange(min=60), help="Columns.  [default: the terminal's, or 80]"
)
@set_option
def show(
    experiment: Path,
    arm_name: str | None,
    seed: int | None,
    place: int,
    progress: float | None,
    width: int | None,
    overrides: tuple[str, ...],
) -> None:
    """Show one training example as every objective of an arm of EXPERIMENT sees it.

    What the encoder is shown, what is predicted where, what may look at what, and what it costs. It
    is made as training makes it, with the initial weights, and nothing is written but the tokens
    in the cache.
    """
    from clozebox.config import load_experiment

    sandbox, registry = open_sandbox()
    asked = load_experiment(experiment, registry, overrides, sandbox)
    arm = chosen_arm(asked, arm_name)
    seed = asked.seeds[0] if seed is None else seed
    learner = _learner(arm, seed, sandbox.cache)

    from clozebox.report.example_reading import show_example
    from clozebox.report.example_text import example_lines

    columns = width or min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    shown = show_example(learner, place, progress)
    click.secho(f"{asked.name}, arm {arm.name}, seed {seed}", bold=True, color=_color())
    click.echo(textwrap.fill(asked.question, columns))
    for line in example_lines(shown, columns):
        click.echo(_styled(line), color=_color())


def _learner(arm: Arm, seed: int, cache: Path) -> Learner:
    """The arm's own tokens, masks and model, on a device that every machine has."""
    import torch

    from clozebox.training.device import Numerics
    from clozebox.training.setup import learner_of

    numerics = Numerics(torch.device("cpu"), "fp32")
    return learner_of(arm, seed, cache, numerics, lambda words: click.echo(words, err=True))


def _styled(line: Line) -> str:
    return "".join(
        click.style(text, **STYLES[style]) if STYLES[style] else text for text, style in line
    )


def _color() -> bool | None:
    """Never where NO_COLOR is set (no-color.org); else as click decides: on a terminal."""
    return False if os.environ.get("NO_COLOR") else None
