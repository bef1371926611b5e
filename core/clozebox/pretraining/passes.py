"""From a batch to losses: one encoder pass per view, whatever the number of objectives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import Tensor

from clozebox.pretraining.batch import Batch, View
from clozebox.pretraining.model import PretrainingModel
from clozebox.pretraining.objective import Objective, Terms


@dataclass(frozen=True, eq=False)
class Pass:
    """One encoder pass, and the objectives that read it."""

    view: View
    objectives: tuple[Objective, ...]


def passes_of(model: PretrainingModel, batch: Batch) -> list[Pass]:
    """Ask every objective for its view; those that name the same one share a pass."""
    readers: dict[int, list[Objective]] = {}
    views: dict[int, View] = {}
    for objective in model.each_objective():
        view = objective.view(batch)
        views[id(view)] = view
        readers.setdefault(id(view), []).append(objective)
    return [Pass(view, tuple(readers[key])) for key, view in views.items()]


def count_targets(passes: list[Pass]) -> dict[str, Tensor]:
    """The number of targets of each term, each (), before any forward pass."""
    counts: dict[str, Tensor] = {}
    for one in passes:
        for objective in one.objectives:
            for name, count in objective.targets(one.view).items():
                if name in counts:
                    raise ValueError(f"two objectives of one arm have a term named {name!r}")
                counts[name] = count
    return counts


def forward(model: PretrainingModel, one: Pass) -> Terms:
    """Encode the view once, and let each of its objectives sum its loss."""
    hidden = model.encode(one.view)  # (B, T, D)
    terms: Terms = {}
    for objective in one.objectives:
        for name, term in objective(hidden, one.view).items():
            terms[name] = replace(term, weight=term.weight * objective.weight)
    return terms


def summed(terms: Terms) -> dict[str, Tensor]:
    """Losses and metrics of each term, detached and widened so that long sums stay exact."""
    found: dict[str, Tensor] = {}
    for name, term in terms.items():
        for metric, value in {"loss": term.loss, **term.metrics}.items():
            found[f"{name}_{metric}"] = value.detach().double()
    return found


def add_up(each: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Sums by name, over dictionaries that need not hold the same names."""
    total: dict[str, Tensor] = {}
    for values in each:
        for name, value in values.items():
            total[name] = total[name] + value if name in total else value
    return total


def means(sums: dict[str, float], counts: dict[str, float]) -> dict[str, float]:
    """``mlm_loss`` and ``mlm_accuracy`` over the targets of ``mlm``; a name may hold a ``_``."""
    found = {}
    for name, value in sums.items():
        term = max((t for t in counts if name.startswith(f"{t}_")), key=len)
        found[name] = value / max(counts[term], 1.0)
    return found
