"""Every figure of a comparison, each as PNG and as SVG, for a paper or a talk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from clozebox.report.comparison import Comparison
from clozebox.report.plots import draw_curves, draw_differences, save_figure
from clozebox.report.records import COSTS
from clozebox.report.search import Search, read_searches
from clozebox.report.search_plots import draw_history, draw_importance, draw_slices

KINDS = (".png", ".svg")
HALF, WHOLE = (5.4, 3.6), (9.6, 3.8)
SLICE = 2.6
"""Inches for each setting of a search space."""
Size = tuple[float, float]
Drawing = tuple[str, Size, Callable[[Any], None]]


def write_figures(comparison: Comparison, folder: Path) -> list[Path]:
    """Curves against everything that was spent, differences, every metric, and the search's.

    Raises:
        UserError: matplotlib is not installed.
    """
    written = []
    for name, size, draw in drawings(comparison):
        paths = [folder / f"{_safe(name)}{kind}" for kind in KINDS]
        save_figure(draw, size, *paths)
        written += paths
    return written


def drawings(comparison: Comparison) -> Iterator[Drawing]:
    """Name, size in inches and what draws it, of every figure that has something to show."""
    metric = comparison.metric
    for cost in COSTS:
        if any(arm.mean_cost(cost) for arm in comparison.arms):
            yield f"curves-{cost}", HALF, partial(_curves, comparison, metric, cost)
    if comparison.trials:
        for search in read_searches(comparison.folder):
            yield from _of_search(search, metric)
    if comparison.ranks_trials:
        return
    for one in comparison.metrics:
        if any(row.difference is not None for row in comparison.rows(one)):
            yield f"metric-{one}", WHOLE, partial(_both, comparison, one)
    if any(row.difference is not None for row in comparison.rows(metric)):
        height = 1.4 + 0.45 * len(comparison.arms)
        yield "differences", (HALF[0], height), partial(_differences, comparison, metric)


def _of_search(search: Search, metric: str) -> Iterator[Drawing]:
    name = search.name.rpartition("/")[2]
    if not any(trial.values for trial in search.trials):
        return
    yield f"history-{name}", HALF, partial(_single, draw_history, search, metric)
    if search.importance:
        yield f"importance-{name}", HALF, partial(_single, draw_importance, search, metric)
    width = SLICE * max(2, len(search.space))
    yield f"slices-{name}", (width, 2.8), partial(draw_slices, search, metric)


def _curves(comparison: Comparison, metric: str, cost: str, figure: Any) -> None:
    draw_curves(figure.subplots(), comparison, metric, cost)


def _differences(comparison: Comparison, metric: str, figure: Any) -> None:
    draw_differences(figure.subplots(), comparison, metric)


def _both(comparison: Comparison, metric: str, figure: Any) -> None:
    curves, forest = figure.subplots(1, 2, width_ratios=(3, 2))
    draw_curves(curves, comparison, metric, comparison.budget)
    draw_differences(forest, comparison, metric)


def _single(
    draw: Callable[[Any, Search, str], None], search: Search, metric: str, figure: Any
) -> None:
    draw(figure.subplots(), search, metric)


def _safe(name: str) -> str:
    """A file name out of the name of a metric or an arm."""
    return re.sub(r"[^\w.+-]+", "-", name)
