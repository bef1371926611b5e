"""Answers that are given away: by the position alone, or by anything else where nothing can tell.

For objectives whose answers are classes of their own. B sequences, T tokens.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from clozebox.pretraining import IGNORE_INDEX, Batch
from clozebox.testing.bench import AS_BERT
from clozebox.testing.objective.case import ObjectiveCase, labels_are_tokens, terms_of, total
from clozebox.testing.verdict import Violation

ROWS, STEPS, ASKED = 32, 80, 256
MOST_TO_GAIN = 0.25
"""The share of the uncertainty that chance, and what a generator lets slip, may take away."""


def position_does_not_tell_the_answer(case: ObjectiveCase) -> None:
    if not _has_classes_of_its_own(case):
        return
    labels = case.objective.view(case.batch(ASKED)).labels  # (B, T)
    overall = _entropy(labels.flatten())
    columns = [(int((one != IGNORE_INDEX).sum()), _entropy(one)) for one in labels.T]
    known = sum(count * entropy for count, entropy in columns) / max(1, sum(n for n, _ in columns))
    if known < (1 - MOST_TO_GAIN) * overall:
        raise Violation(
            f"an answer is worth {overall:.3f} nats, and {known:.3f} once its position is known"
        )


def text_without_order_tells_nothing(case: ObjectiveCase) -> None:
    """Of tokens drawn anew at every position nothing can be learnt but how often answers occur."""
    if not _has_classes_of_its_own(case):
        return
    model = case.bench.model([case.config]).float()
    [objective] = model.each_objective()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    for step in range(STEPS):
        batch = _without_order(case, step * ROWS, ROWS)
        count = sum(int(one.count) for one in objective.targets(batch).values())
        loss = total(terms_of(model, objective, batch)) / count
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    fresh = _without_order(case, STEPS * ROWS, ASKED)
    with torch.no_grad():
        term = terms_of(model, objective, fresh)[objective.name]
        due = _entropy(objective.view(fresh).labels.flatten())
    mean = term.loss.item() / int(objective.targets(fresh)[objective.name].count)
    if mean < (1 - MOST_TO_GAIN) * due:
        raise Violation(
            f"after {STEPS} steps on tokens without order, {objective.name} pays {mean:.3f} nats "
            f"for answers that cannot be told for less than {due:.3f}"
        )


def _has_classes_of_its_own(case: ObjectiveCase) -> bool:
    batch = case.batch(ROWS)
    asks = case.objective.view(batch).labels != IGNORE_INDEX
    paired = batch.pair_label is not None
    return bool(asks.any()) and not paired and not labels_are_tokens(case, batch)


def _entropy(labels: Tensor) -> float:
    """Nats of one label, by how often each occurs."""
    counts = Counter(labels[labels != IGNORE_INDEX].tolist()).values()
    return -sum(n / sum(counts) * math.log(n / sum(counts)) for n in counts)


def _without_order(case: ObjectiveCase, first: int, rows: int) -> Batch:
    """Sequences whose ordinary tokens are drawn anew, each as likely as any other."""
    masking = AS_BERT.build(case.bench.text) if case.config.needs_masking else None
    batch = case.bench.batch(case.config.example, rows, first, masking)
    ordinary = torch.from_numpy(np.asarray(case.bench.vocabulary.ordinary_ids))
    drawn = ordinary[(batch.uniform("text of the check") * len(ordinary)).long()]
    ids = torch.where(batch.special_tokens_mask, batch.input_ids, drawn)
    return replace(batch, input_ids=ids)
