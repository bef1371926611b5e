"""What `clozebox finetune` shows: how far it is, and what came of it."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

from clozebox.cli.table import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clozebox.evaluation.finetuning.controls import Scores
    from clozebox.evaluation.finetuning.prepared import Prepared
    from clozebox.evaluation.finetuning.probe import Probes

SECONDS_BETWEEN_LINES = 10.0


class SeedProgress:
    """A line on stderr that refreshes in a terminal, and plain lines now and then elsewhere."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._seed: tuple[str, int] | None = None
        self._began = self._shown = self._last = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def watch(self, origin: str, seed: int, share: float) -> None:
        """The share of the steps of one seed that is done."""
        now = time.monotonic()
        if self._seed != (origin, seed):
            self._seed, self._began = (origin, seed), self._last  # the first step took time too
        self._last = now
        if self._terminal or now - self._shown > SECONDS_BETWEEN_LINES:
            self._shown = now
            left = timedelta(seconds=round((now - self._began) * (1 - share) / share))
            line = f"{self._task}: {origin}, seed {seed}: {share:4.0%}, eta of this seed {left}"
            click.echo(
                f"\r\x1b[2K{line}" if self._terminal else line, nl=not self._terminal, err=True
            )

    def __enter__(self) -> SeedProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._terminal:
            click.echo("\r\x1b[2K", nl=False, err=True)


def print_notes(prepared: Prepared) -> None:
    """On stderr, before the long work: there may be reason to think again."""
    from clozebox.evaluation.finetuning.notes import notes_on

    for note in notes_on(prepared):
        click.echo(f"note: {note}", err=True)


def print_scores(prepared: Prepared, scores: Scores, path: Path) -> None:
    """A row for each seed and each mean, a column for each metric."""
    from clozebox.report.statistics import estimate

    names = _metric_names(prepared, scores.majority)
    _print_head(prepared)
    rows = []
    for origin, held in scores.outcomes.items():
        found = {name: estimate([one.scores[name] for one in held.values()]) for name in names}
        for seed, outcome in sorted(held.items()):
            best = f"epoch {outcome.best_epoch}" if outcome.best_epoch else "diverged"
            shown = [f"{outcome.scores[name]:.4f}" for name in names]
            rows.append([f"  {origin}, seed {seed}", *shown, best])
        means = [
            f"{one.mean:.4f}" + ("" if one.half_width is None else f" ± {one.half_width:.4f}")
            for one in found.values()
        ]
        rows.append([f"{origin}, mean", *means, ""])
    rows.append(["majority", *(f"{scores.majority[name]:.4f}" for name in names), ""])
    print_table(["weights", *_titles(prepared, names), "best"], rows)
    click.echo(f"means with their 95 % t interval over the seeds of fine-tuning; in {path}")


def print_probes(prepared: Prepared, probes: Probes, path: Path) -> None:
    """A row for each layer, a column for each metric."""
    names = _metric_names(prepared, probes.majority)
    _print_head(prepared)
    rows = []
    for origin, layers in probes.layers.items():
        for one in layers:
            best = "best on development" if one is probes.best(origin) else ""
            shown = [f"{one.scores[name]:.4f}" for name in names]
            rows.append([f"{origin}, layer {one.layer}", *shown, f"{one.l2:g}", best])
    majority = [f"{probes.majority[name]:.4f}" for name in names]
    rows.append(["majority", *majority, "", ""])
    print_table(["features", *_titles(prepared, names), "l2", ""], rows)
    click.echo(f"in {path}")


def _print_head(prepared: Prepared) -> None:
    sizes = ", ".join(f"{count:,} {split}" for split, count in prepared.sizes().items())
    scored = prepared.dataset.scored
    click.echo(f"{prepared.task.name}: {sizes} examples; scored on {scored}")


def _metric_names(prepared: Prepared, scores: Mapping[str, float]) -> list[str]:
    """Every metric, the task's own first."""
    return [prepared.task.metric, *(name for name in scores if name != prepared.task.metric)]


def _titles(prepared: Prepared, names: Sequence[str]) -> list[str]:
    """Of two classes F1 is that of the second, which is named."""
    labels = prepared.dataset.labels
    of_two = prepared.task.settings.kind == "classification" and len(labels) == 2
    return [f"f1 of {labels[1]}" if of_two and name == "f1" else name for name in names]
