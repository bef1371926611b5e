"""What is measured after a run's end, put beside what was measured at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.training.setup import Training


def enter(training: Training, metrics: Mapping[str, float]) -> bool:
    """Add ``eval/...`` metrics to those of the run's last step, where `compare` looks.

    False, and it is said why, where that cannot be: what was measured is not lost for it.
    """
    from clozebox.training.run import enter_metrics

    def say(text: str) -> None:
        click.echo(text, err=True)

    try:
        entered = enter_metrics(training.run, training.arm, metrics, say)
    except UserError as error:
        say(f"its metrics.jsonl is left as it is: {error}")
        return False
    if not entered:
        say("the run is not done: its metrics.jsonl is left as it is")
    return entered
