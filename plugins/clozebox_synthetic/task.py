"""How far above its floor every objective of an arm is: one zero for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from clozebox.evaluation import SHORT_SEQ_PROB, EvaluationTask, HeldOut, mean_losses, view_losses
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    Objective,
    PretrainingModel,
    View,
    choose_exactly,
)
from clozebox_synthetic import FloorConfig, HmmConfig
from clozebox_synthetic.floors import Floor, Floors
from clozebox_synthetic.rows import numbering


class _Known(NamedTuple):
    """What does not change while a model learns."""

    model: PretrainingModel
    held_out: HeldOut
    own: dict[str, Floor]
    """Of its objectives, by name, where they are known."""
    filler: Objective | None
    """The first that fills in blanks."""
    blanks: Floor | None


class FloorTask(EvaluationTask):
    """Knows no objective by name: what its view shows and labels says what its floor is."""

    def __init__(self, config: FloorConfig) -> None:
        self._config = config
        self._kept: _Known | None = None

    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        """``<objective>_floor`` and ``_excess``, in nats a target, and those of common blanks.

        Raises:
            UserError: the held-out rows are not those that the floors are of.
        """
        if not isinstance(held_out.corpus, HmmConfig):
            return {}
        known = self._known(model, held_out, held_out.corpus)
        losses = mean_losses(model, self._own(held_out), held_out.numerics)
        found: dict[str, float] = {}
        for name, floor in known.own.items():
            found |= _told(name, floor, losses[f"{name}_loss"])
            # What the first comes to stands for the arm: one name for all arms.
            found.setdefault("excess", found[f"{name}_excess"])
        if known.filler is not None and known.blanks is not None:
            views = (view for view, _, _ in self._filled_in(known.filler, held_out))
            means = view_losses(model, known.filler, views, held_out.numerics)
            found |= _told("cloze", known.blanks, means[f"{known.filler.name}_loss"])
        return found

    def _known(self, model: PretrainingModel, held_out: HeldOut, corpus: HmmConfig) -> _Known:
        kept = self._kept
        if kept is None or kept.model is not model or kept.held_out is not held_out:
            with torch.no_grad():
                kept = self._kept = self._work_out(model, held_out, corpus)
        return kept

    def _work_out(self, model: PretrainingModel, held_out: HeldOut, corpus: HmmConfig) -> _Known:
        numbers = numbering(corpus, held_out.store, held_out.seq_length)
        floors = Floors(corpus, numbers, held_out.kind, SHORT_SEQ_PROB)
        own = {
            objective.name: _sum(_of(objective, batch, floors) for batch in self._own(held_out))
            for objective in model.each_objective()
        }
        known = {name: floor for name, floor in own.items() if floor is not None}
        for filler in model.speakers():
            if blanks := list(self._filled_in(filler, held_out)):
                floor = _sum(floors.of_tokens(*each) for each in blanks)
                return _Known(model, held_out, known, filler, floor)
        return _Known(model, held_out, known, None, None)

    def _own(self, held_out: HeldOut) -> Iterator[Batch]:
        return held_out.batches(self._config.sequences, own=True)

    def _filled_in(
        self, objective: Objective, held_out: HeldOut
    ) -> Iterator[tuple[View, Batch, Tensor]]:
        """The blanks of the task ``cloze``: the same ones for every arm."""
        for batch in held_out.batches(self._config.sequences):
            chosen = choose_exactly(batch.uniform("cloze"), batch, self._config.rate)  # (B, T)
            view = objective.cloze(batch, chosen)
            if view is not None:
                yield view, batch, chosen


def _of(objective: Objective, batch: Batch, floors: Floors) -> Floor | None:
    """That of the term which the objective is named after, by what it sums over."""
    targets, view = objective.targets(batch).get(objective.name), objective.view(batch)
    if targets is None:
        return None
    count = int(targets.count)
    if targets.classes == 2 and batch.pair_label is not None and count == len(batch.input_ids):
        return floors.of_pairs(view, batch)
    labelled = int((view.labels != IGNORE_INDEX).sum())
    if targets.classes == batch.vocabulary.size and count == labelled:
        return floors.of_tokens(view, batch)
    return None


def _sum(floors: Iterable[Floor | None]) -> Floor | None:
    """Over batches; None as soon as one of them is not known."""
    known: list[Floor] = []
    for floor in floors:
        if floor is None:
            return None
        known.append(floor)
    targets = sum(one.targets for one in known)
    errors = [one.errors for one in known if one.errors is not None]
    whole = Floor(sum(one.nats for one in known), targets, sum(errors) if errors else None)
    return whole if targets else None


def _told(name: str, floor: Floor, loss: float) -> dict[str, float]:
    mean = floor.nats / floor.targets
    found = {f"{name}_floor": mean, f"{name}_excess": loss - mean}
    if floor.errors is not None:
        found[f"{name}_error_floor"] = floor.errors / floor.targets
    return found
