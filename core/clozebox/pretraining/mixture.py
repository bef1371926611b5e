"""Who learns from which sequences: everyone from all of them, or each from its share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clozebox.pretraining.batch import Batch
from clozebox.pretraining.objective import Objective


class Reader(NamedTuple):
    """An objective, and the sequences that it reads."""

    objective: Objective
    batch: Batch


def share_out(objectives: Sequence[Objective], batch: Batch) -> list[Reader]:
    """Each objective with its share of the batch, or with all of it if it has none.

    One whose share of a small batch is nothing is left out.
    """
    owner = owners(batch.places, [objective.share or 0.0 for objective in objectives])  # (B,)
    readers = []
    for index, objective in enumerate(objectives):
        if objective.share is None:
            readers.append(Reader(objective, batch))
        elif len(rows := np.flatnonzero(owner == index)):
            readers.append(Reader(objective, batch.take(rows)))
    return readers


def owners(places: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Which share each sequence of the stream falls to, (B,); -1 for none.

    A function of its place alone, in whole numbers, so that it holds however long the stream. Of
    any n sequences in a row a share s gets n * s where n times every share is whole: such a batch
    is cut the same way at every step. Otherwise the first share is rounded up or down, and the k-th
    is off by less than k.
    """
    weights = [round(share * _PARTS) for share in shares]
    total = sum(weights)
    # Three times 0.3333333 leaves nothing over.
    left = total if abs(total - _PARTS) < 2e-6 * _PARTS else _PARTS
    owner = np.full(len(places), -1)
    rank, free = places.astype(np.int64), np.ones(len(places), dtype=np.bool_)
    for index, weight in enumerate(weights):
        if weight == 0:
            continue
        # The rank-th of those still free is taken whenever rank * weight / left steps up.
        before, after = rank * weight // left, (rank + 1) * weight // left
        taken = free & (after > before)
        owner[taken] = index
        free &= ~taken
        rank, left = rank - before, left - weight
    return owner


_PARTS = 720_720_000
"""The stream in parts: thousandths, thirds to sixteenths are whole, and ten thousand million places
times this still fit into 64 bits."""
