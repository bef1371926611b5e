"""A comparison as one figure for a paper: learning curves beside paired differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from clozebox.errors import UserError
from clozebox.report.comparison import Comparison
from clozebox.report.curves import learning_curve

# Okabe & Ito (2008), told apart by colour-blind readers too; the baseline is grey.
COLOURS = ("#44484c", "#0072b2", "#d55e00", "#008f68", "#cc79a7", "#56b4e9", "#e69f00", "#6f4bb2")
MOST_TRIALS = 8
"""Curves drawn of a search: those of its best trials."""
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "0",
}
AXIS_LABELS = {
    "steps": "steps",
    "tokens": "tokens read",
    "flops": "training FLOPs",
    "seconds": "training time (seconds)",
}


def write_figure(
    comparison: Comparison, path: Path, metric: str | None = None, cost: str | None = None
) -> None:
    """Write curves and differences side by side; the suffix says PNG, SVG or PDF.

    The curves are drawn against ``cost``; by default, against what the arms were given alike.

    Raises:
        UserError: matplotlib is not installed, or cannot write that kind of file.
    """
    chosen = metric or comparison.metric

    def draw(figure: Any) -> None:
        curves, forest = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_curves(curves, comparison, chosen, cost or comparison.budget)
        draw_differences(forest, comparison, chosen)
        figure.suptitle(comparison.question, fontsize=11)

    save_figure(draw, (9.6, 3.8), path)


def save_figure(draw: Callable[[Any], None], size: tuple[float, float], *paths: Path) -> None:
    """A new figure of ``size`` inches, as each of the files, whose suffixes say of what kind.

    Raises:
        UserError: matplotlib is not installed, or cannot write that kind of file.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise UserError('a figure needs matplotlib: pip install "clozebox[plots]"') from None
    for path in paths:
        if path.suffix[1:] not in FigureCanvasAgg.get_supported_filetypes():
            raise UserError(f"cannot draw {path.name}: give a name that ends in .png, .svg or .pdf")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without its date, a figure of the same numbers is the same file.
            dated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
            figure.savefig(path, dpi=200, metadata=dated.get(path.suffix))


def colour(arm: int) -> str:
    """The baseline's grey, then one after the other."""
    return COLOURS[arm % len(COLOURS)]


def stroke(arm: int) -> str:
    """Solid, and dashed once every colour is taken."""
    return "-" if arm < len(COLOURS) else "--"


def draw_curves(axes: Any, comparison: Comparison, metric: str, cost: str) -> None:
    """The mean over finished seeds with the band of its 95 % interval, for each arm."""
    most = MOST_TRIALS if comparison.ranks_trials else len(comparison.arms)
    for i, arm in enumerate(comparison.arms[:most]):
        points = [p for p in learning_curve(arm, metric) if cost in p.cost]
        x = [point.cost[cost] for point in points]
        means = [point.estimate.mean for point in points]
        if not points:
            continue
        marker = "." if len(x) == 1 else ""
        axes.plot(x, means, stroke(i), color=colour(i), label=arm.name, marker=marker)
        intervals = [p.estimate.interval for p in points if p.estimate.interval is not None]
        if len(intervals) == len(points):
            low, high = [b.low for b in intervals], [b.high for b in intervals]
            axes.fill_between(x, low, high, color=colour(i), alpha=0.18, linewidth=0)
    axes.set(xlabel=AXIS_LABELS[cost], ylabel=metric)
    if axes.get_legend_handles_labels()[0]:
        # Beside the curves where there would be no room between them.
        outside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        axes.legend(frameon=False, **(outside if len(comparison.arms) > 5 else {}))


def draw_differences(axes: Any, comparison: Comparison, metric: str) -> None:
    """The paired differences to the baseline with their intervals; each small dot is a seed."""
    rows = comparison.rows(metric)
    shown = [(i, row.difference) for i, row in enumerate(rows) if row.difference is not None]
    axes.axvline(0, color="#888888", linewidth=0.8, linestyle="--")
    for place, (i, difference) in enumerate(shown):
        found = difference.estimate
        seeds = list(difference.by_seed.values())
        axes.plot(seeds, [place + 0.2] * len(seeds), ".", color=colour(i), alpha=0.45)
        axes.errorbar(found.mean, place, xerr=found.half_width, fmt="o", color=colour(i), capsize=3)
    axes.set_yticks(range(len(shown)), [rows[i].arm.name for i, _ in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel(f"difference to {comparison.baseline.name}, 95 % interval")
