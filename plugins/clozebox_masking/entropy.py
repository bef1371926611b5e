"""What its neighbours leave open is hidden more often than what they give away.

The weight of a position is the mean of two entropies: of what follows its left neighbour and of
what precedes its right one, counted in the training text. It does not look at the token itself.
Were rare tokens hidden more often, being hidden would tell that a token is rare, and the model
would learn to read the choice. (A trace is left: the weights of a token's neighbours depend on it.)

B sequences, T tokens, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clozebox import MaskingConfig
from clozebox.data import TrainingText
from clozebox.pretraining import Batch, MaskingStrategy, choose_exactly

MOST_TOKENS = 1 << 23
"""What is read of a longer text."""

Ids = NDArray[np.int64]
Nats = NDArray[np.float64]


class EntropyMasking(MaskingStrategy):
    """``sharpness`` 0 makes all positions equal, 1 takes the entropies as weights."""

    def __init__(self, config: MaskingConfig, text: TrainingText, sharpness: float) -> None:
        super().__init__(config, text.vocabulary)
        self.sharpness = sharpness
        entropies = neighbour_entropies(text)
        self.after = torch.from_numpy(entropies.after.astype(np.float32))
        self.before = torch.from_numpy(entropies.before.astype(np.float32))

    def choose(self, batch: Batch, rate: float) -> Tensor:
        # Exponential waiting times at the rate of the weights; the first to come are a sample
        # without replacement in their proportion (Efraimidis & Spirakis, 2006).
        waiting = -torch.log1p(-batch.uniform("choice"))  # (B, T)
        return choose_exactly(waiting / self.weights(batch) ** self.sharpness, batch, rate)

    def weights(self, batch: Batch) -> Tensor:
        """(B, T), in nats, above zero; without meaning at the special tokens."""
        ids, device = batch.input_ids, batch.input_ids.device
        left = self.after.to(device, non_blocking=True)[ids.roll(1, 1)]  # (B, T)
        right = self.before.to(device, non_blocking=True)[ids.roll(-1, 1)]  # (B, T)
        return (left + right) / 2


class Entropies(NamedTuple):
    """How open the neighbours of each id are, in nats: each (V,)."""

    after: Nats
    before: Nats


def neighbour_entropies(text: TrainingText) -> Entropies:
    """Of what stands after each id of a text, and before it.

    Beside a special token stands the beginning or the end of a sentence, as it does in a row.
    """
    size = text.vocabulary.size
    pairs, first, last = [], [], []
    for block in text.blocks(MOST_TOKENS):
        pairs.append(block.ids[:-1] * size + block.ids[1:])
        borders = np.flatnonzero(block.begins)
        first.append(block.ids[borders])
        last.append(block.ids[borders - 1])  # the last sentence's too: it is before the first
    pair, count = np.unique(np.concatenate(pairs), return_counts=True)
    at_border = [_entropy(np.bincount(np.concatenate(ids))) for ids in (first, last)]
    anything = _entropy(text.counts)
    after = _entropies(pair // size, count, size, anything)
    before = _entropies(pair % size, count, size, anything)
    border = [id for id in text.vocabulary.special_ids if not text.counts[id]]
    after[border], before[border] = at_border
    return Entropies(after, before)


def _entropies(ids: Ids, count: Ids, size: int, anything: float) -> Nats:
    """ids (pairs,) and how often each occurs with another -> (V,).

    Of what is seldom seen little is known: it is as open as any token, to the degree that a new
    neighbour is to be expected (Witten & Bell, 1991, method C).
    """
    seen = np.bincount(ids, count, minlength=size)  # (V,)
    kinds = np.bincount(ids, minlength=size)  # (V,): how many different neighbours
    spread = np.bincount(ids, count * np.log(count), minlength=size)  # (V,)
    total = np.maximum(seen, 1)
    known = np.log(total) - spread / total
    new = np.where(seen > 0, kinds / np.maximum(seen + kinds, 1), 1.0)
    return (1 - new) * known + new * anything


def _entropy(counts: Ids) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
