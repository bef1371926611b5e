"""Batches for the steps, fetched and masked a block at a time.

What is done to 32 short sequences costs mostly its some seventy calls; done to 512 at once it costs
a third. Every number hangs on the sequence alone, so a batch is the same bits either way.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from clozebox.data import Examples, Vocabulary
from clozebox.pretraining import Batch, MaskingStrategy

BLOCK = 512
"""Sequences; more would no longer stay in the processor's cache."""


class Batches:
    """The endless stream of training examples, as batches on the device."""

    def __init__(
        self,
        examples: Examples[Any],
        vocabulary: Vocabulary,
        masking: MaskingStrategy | None,
        seed: int,
        device: torch.device,
    ) -> None:
        self.examples = examples
        self._vocabulary = vocabulary
        self._masking = masking
        self._seed = seed
        self._device = device
        self._cached_block = lru_cache(maxsize=2)(self._fetch)

    def batch(self, first: int, count: int, progress: float, own: range | None = None) -> Batch:
        """Examples ``first .. first + count``; ``progress`` is the share of the budget spent.

        Where others train too, ``own`` are the examples of this rank in the step: of those beyond,
        which a block would hold too, most are not its to read.
        """
        size = max(BLOCK // count, 1) * count
        start = 0 if own is None else own.start
        begin = start + (first - start) // size * size
        if own is not None:
            size = min(size, own.stop - begin)
        if size == count or first + count > begin + size:
            return self._fetch(first, count, progress)
        # A rate that moves is that of the step, and not of the block.
        moves = self._masking is not None and not self._masking.constant
        block = self._cached_block(begin, size)
        return block.part(first - begin, count, progress, with_masks=not moves)

    def _fetch(self, first: int, count: int, progress: float = 0.0) -> Batch:
        return Batch.of(
            self.examples.rows(first, count),
            self._vocabulary,
            self._masking,
            seed=self._seed,
            first=first,
            progress=progress,
            device=self._device,
        )
