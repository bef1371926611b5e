"""A masking strategy under test, and what its properties are tried with.

B sequences, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.pretraining import Batch, MaskingStrategy
from clozebox.testing.bench import Bench
from clozebox.testing.verdict import Violation

ROWS = 5000
RATES = (0.15, 0.5)


@dataclass(frozen=True, eq=False)
class Masking:
    """A strategy under test, on both kinds of tokenizer."""

    config: MaskingConfig
    seed: int

    @cached_property
    def benches(self) -> list[Bench]:
        return [Bench(self.seed, "wordpiece"), Bench(self.seed, "bpe")]

    @cached_property
    def many(self) -> list[Batch]:
        """Rows for what is counted, one batch for each tokenizer."""
        return [bench.batch(count=ROWS) for bench in self.benches]

    def strategy(self, bench: Bench, **changes: object) -> MaskingStrategy:
        """Built with some of the settings changed."""
        return self.config.model_copy(update=changes).build(bench.text)

    def example(self, bench: Bench, batch: Batch, row: int, marked: Tensor) -> str:
        """One row as tokens, the marked ones in brackets."""
        words = bench.tokens(batch.input_ids[row][batch.attention_mask[row]])
        marks = marked[row].tolist()
        shown = [f"<{word}>" if mark else word for word, mark in zip(words, marks, strict=False)]
        return f"sequence {int(batch.places[row])}: " + " ".join(shown)


def chosen_by(strategy: MaskingStrategy, batch: Batch, rate: float) -> Tensor:
    chosen = strategy.choose(batch, rate)
    if chosen.shape != batch.input_ids.shape or chosen.dtype != torch.bool:
        raise Violation(
            f"choose gave {chosen.dtype} of {tuple(chosen.shape)}; "
            f"bool of {tuple(batch.input_ids.shape)} is due"
        )
    return chosen


def without_order(bench: Bench, rows: int) -> Batch:
    """Full sequences of whole words drawn anew at every position."""
    batch = bench.batch(count=1).take(np.zeros(rows, dtype=np.int64))
    words = np.setdiff1d(bench.vocabulary.ordinary_ids, bench.vocabulary.continuation_ids)
    length = batch.input_ids.shape[1]
    keyed = replace(batch, first=0, rows=np.arange(rows))
    ids = torch.from_numpy(words)[(keyed.uniform("shuffled text") * len(words)).long()]
    special = torch.zeros_like(ids, dtype=torch.bool)
    special[:, [0, length - 1]] = True
    ids[:, 0], ids[:, -1] = bench.vocabulary.cls_id, bench.vocabulary.sep_id
    return replace(
        keyed,
        input_ids=ids,
        attention_mask=torch.ones_like(special),
        special_tokens_mask=special,
    )


def on_meta(batch: Batch) -> Batch:
    """The batch on torch's device without data: whatever asks for a value there raises."""
    moved = {
        field.name: getattr(batch, field.name).to("meta")
        for field in fields(batch)
        if isinstance(getattr(batch, field.name), Tensor)
    }
    return replace(batch, **moved)
