"""How far above its floor every objective of an arm is: one zero for all of them."""

from __future__ import annotations

from collections.abc import Iterator
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
from clozebox_synthetic.excess import Measured, refuse_leaks
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
            Leak: a loss is below its floor, and not by chance.
        """
        if not isinstance(held_out.corpus, HmmConfig):
            return {}
        known = self._known(model, held_out, held_out.corpus)
        losses = mean_losses(model, self._own(held_out), held_out.numerics)
        measured = {
            name: Measured(floor, losses[f"{name}_loss"]) for name, floor in known.own.items()
        }
        found: dict[str, float] = {}
        if measured:  # what the first comes to stands for the arm: one name for all arms
            found["excess"] = next(iter(measured.values())).excess
        if known.filler is not None and known.blanks is not None:
            views = (view for view, _, _ in self._filled_in(known.filler, held_out))
            means = view_losses(model, known.filler, views, held_out.numerics)
            measured["cloze"] = Measured(known.blanks, means[f"{known.filler.name}_loss"])
        refuse_leaks(measured)
        for name, one in measured.items():
            found |= one.metrics(name)
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
            objective.name: Floor.sum(
                _of(objective, batch, floors) for batch in self._own(held_out)
            )
            for objective in model.each_objective()
        }
        known = {name: floor for name, floor in own.items() if floor is not None}
        for filler in model.speakers():
            if blanks := list(self._filled_in(filler, held_out)):
                floor = Floor.sum(floors.of_tokens(*each) for each in blanks)
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
