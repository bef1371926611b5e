"""How an arm's masking chooses: found out by asking it, since a strategy may come from anywhere.

B rows of T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor

from clozebox.pretraining import Batch, MaskingStrategy, choose_exactly, numbers_to_choose
from clozebox_synthetic.corruption import Corruption
from clozebox_synthetic.language import Indices


@dataclass(frozen=True, eq=False)
class _Listening(Batch):
    """A batch that writes down which of its draws are used, each time that they are."""

    drawn: list[tuple[str, Tensor]] = field(default_factory=list)

    @classmethod
    def to(cls, batch: Batch) -> _Listening:
        return cls(**{one.name: getattr(batch, one.name) for one in fields(batch)})

    def uniform(self, name: str) -> Tensor:
        self.drawn.append((name, super().uniform(name)))
        return self.drawn[-1][1]

    def bits(self, name: str) -> Tensor:
        self.drawn.append((name, super().bits(name)))
        return self.drawn[-1][1]


def corruption_of(batch: Batch, masked: Indices) -> Corruption | None:
    """How ``batch.masked`` came about; None if what it shows has no law that is known here.

    ``masked`` (B,) counts the [MASK] in each row. Where no random token is put in, every word that
    is seen is as it was, and it is enough that the choice does not depend on the words.
    """
    masking = batch.masking
    if masking is None or _rewritten(masking):
        return None
    config, rates = masking.config, _Rates.of(masking, batch)
    if config.random_share == 0:
        return Corruption.none(len(masked)) if _ignores_words(batch, rates.larger) else None
    if not _every_set_alike(batch, rates.larger):
        return None
    predicted, corrupted = rates.numbers(batch)  # each (B,)
    ordinary = (~batch.special_tokens_mask).sum(1).cpu().numpy()
    left_alone = np.maximum(ordinary - corrupted, 1)
    return Corruption(
        replaced=config.random_share / len(batch.vocabulary.ordinary_ids),
        kept=1 - config.mask_share - config.random_share,
        hidden=corrupted - masked,
        spared=np.maximum(predicted - corrupted, 0) / left_alone,
    )


@dataclass(frozen=True)
class _Rates:
    predicted: float
    corrupted: float

    @classmethod
    def of(cls, masking: MaskingStrategy, batch: Batch) -> _Rates:
        predicted = masking.rate_at(batch.progress)
        return cls(predicted, masking.config.corruption_rate or predicted)

    @property
    def larger(self) -> float:
        return max(self.predicted, self.corrupted)

    def numbers(self, batch: Batch) -> tuple[Indices, Indices]:
        """How many are predicted, and how many corrupted, in each row: (B,) each."""
        most = (~batch.special_tokens_mask).sum(1, keepdim=True)  # (B, 1)
        predicted, corrupted = (
            numbers_to_choose(batch, rate).minimum(most)[:, 0].cpu().numpy()
            for rate in (self.predicted, self.corrupted)
        )
        return predicted, corrupted


def _rewritten(masking: MaskingStrategy) -> bool:
    """Whether it does more than choose."""
    core = MaskingStrategy
    return type(masking).apply is not core.apply or type(masking).fate is not core.fate


def _every_set_alike(batch: Batch, rate: float) -> bool:
    """Whether the tokens of the lowest draws are chosen: so every set of them is as likely.

    Not where the same draws decide what becomes of the tokens, too: one would tell of the other.
    """
    assert batch.masking is not None
    choosing, applying = _Listening.to(batch), _Listening.to(batch)
    chosen = batch.masking.choose(choosing, rate)
    batch.masking.apply(applying)
    names = [name for name, _ in applying.drawn]
    return any(
        torch.equal(chosen, choose_exactly(numbers, batch, rate)) and names.count(name) == 1
        for name, numbers in choosing.drawn
    )


def _ignores_words(batch: Batch, rate: float) -> bool:
    """Whether it chooses the same places when other words stand there, under the same draws."""
    assert batch.masking is not None
    ordinary = ~batch.special_tokens_mask
    words = batch.input_ids[ordinary]  # (words of all rows,)
    chosen = batch.masking.choose(batch, rate)
    for shift in (1, len(words) // 2):
        other = batch.input_ids.clone()
        other[ordinary] = words.roll(shift)
        if not torch.equal(batch.masking.choose(replace(batch, input_ids=other), rate), chosen):
            return False
    return True
