"""Figures of a search: how it went, what mattered, and where the good values lie."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from clozebox.report.plots import colour
from clozebox.report.search import Dimension, Search, Trial

GOLDEN = 0.618
"""Steps of this size, cut to their fraction, spread any number of points evenly."""


def draw_history(axes: Any, search: Search, metric: str) -> None:
    """The value of each trial, and the best so far."""
    trials = _finished(search)
    numbers, values = [t.number for t in trials], [t.values[0] for t in trials]
    better = min if search.minimized[0] else max
    axes.plot(numbers, values, "o", color=colour(1), alpha=0.55, markersize=4, markeredgewidth=0)
    best = list(accumulate(values, better))
    axes.step(numbers, best, where="post", color=colour(1))
    axes.set(xlabel="trial", ylabel=metric)


def draw_importance(axes: Any, search: Search, metric: str) -> None:
    """The share of each setting in telling the best trials from the rest."""
    shares = sorted(search.importance.items(), key=lambda item: item[1])
    axes.barh([key for key, _ in shares], [share for _, share in shares], 0.5, color=colour(1))
    axes.set(xlabel=f"importance for {metric} (PED-ANOVA)", xlim=(0, 1))


def draw_slices(search: Search, metric: str, figure: Any) -> None:
    """The value of each trial against each setting; darker trials came later."""
    panels = figure.subplots(1, len(search.space), sharey=True, squeeze=False)[0]
    for axes, dimension in zip(panels, search.space, strict=True):
        trials = [trial for trial in _finished(search) if dimension.key in trial.drawn]
        places = [_place(trial, dimension) for trial in trials]
        late = [0.25 + 0.65 * trial.number / len(search.trials) for trial in trials]
        values = [trial.values[0] for trial in trials]
        axes.scatter(places, values, color=colour(1), alpha=late, s=16, linewidths=0)
        axes.set_xlabel(dimension.key)
        if dimension.scale == "log":
            axes.set_xscale("log")
        elif dimension.scale == "choice":
            axes.set_xticks(range(len(dimension.choices)), [str(c) for c in dimension.choices])
            axes.set_xlim(-0.5, len(dimension.choices) - 0.5)
    panels[0].set_ylabel(metric)


def _finished(search: Search) -> list[Trial]:
    return [trial for trial in search.trials if trial.values]


def _place(trial: Trial, dimension: Dimension) -> float:
    value = trial.drawn[dimension.key]
    if dimension.scale != "choice":
        return float(value)
    return dimension.choices.index(value) + 0.4 * (trial.number * GOLDEN % 1 - 0.5)
