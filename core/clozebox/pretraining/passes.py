"""From a batch to losses: one encoder pass per view, whatever the number of objectives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from clozebox.pretraining.batch import Batch
from clozebox.pretraining.mixture import Reader
from clozebox.pretraining.model import PretrainingModel
from clozebox.pretraining.objective import Objective, Targets, Terms, distinct
from clozebox.pretraining.view import View


@dataclass(frozen=True, eq=False)
class Pass:
    """One encoder pass, and the objectives that read it."""

    view: View
    objectives: tuple[Objective, ...]

    def reads(self) -> Tensor | None:
        """Where any of them reads the hidden states, (R,) of the B*T; None for anywhere."""
        each = [objective.reads(self.view) for objective in self.objectives]
        places = [one for one in each if one is not None]
        if len(places) < len(each):
            return None
        return places[0] if len(places) == 1 else distinct(places, self.view.input_ids.numel())


def passes_of(model: PretrainingModel, batch: Batch) -> list[Pass]:
    """The passes in which every objective reads all of a batch."""
    return passes(everyone(model, batch))


def everyone(model: PretrainingModel, batch: Batch) -> list[Reader]:
    """Every objective, each with all of the batch: for evaluation."""
    return [Reader(objective, batch) for objective in model.each_objective()]


def passes(readers: Iterable[Reader]) -> list[Pass]:
    """Ask every objective for its view; those that name the same one share a pass."""
    sharing: dict[int, list[Objective]] = {}
    views: dict[int, View] = {}
    for objective, batch in readers:
        view = objective.view(batch)
        views[id(view)] = view
        sharing.setdefault(id(view), []).append(objective)
    return [Pass(view, tuple(sharing[key])) for key, view in views.items()]


def targets_of(readers: Iterable[Reader]) -> dict[str, Targets]:
    """The targets of each term, before any forward pass."""
    found: dict[str, Targets] = {}
    for objective, batch in readers:
        for name, targets in objective.targets(batch).items():
            if name in found:
                raise ValueError(f"two objectives of one arm have a term named {name!r}")
            found[name] = targets
    return found


def count_targets(readers: Iterable[Reader]) -> dict[str, Tensor]:
    """The number of targets of each term, each ()."""
    return {name: targets.count for name, targets in targets_of(readers).items()}


def forward(model: PretrainingModel, one: Pass) -> Terms:
    """Encode the view once, and let each of its objectives sum its loss."""
    hidden = model.encode(one.view, one.reads())  # (B, T, D)
    terms: Terms = {}
    for objective in one.objectives:
        # Of a tenth of the sequences comes a tenth of the gradient, as if each drew its objective.
        weight = objective.weight * (1 if objective.share is None else objective.share)
        for name, term in objective(hidden, one.view).items():
            terms[name] = replace(term, weight=term.weight * weight)
    return terms


def encoder_flops(model: PretrainingModel, made: Sequence[Pass]) -> int:
    """Forward floating-point operations of the passes, without heads."""
    return sum(
        len(one.view.input_ids) * model.encoder.flops(one.view.input_ids.shape[1]) for one in made
    )


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
