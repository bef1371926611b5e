"""Masking strategies that are right: what the mutants are made from. B sequences, T tokens."""

from __future__ import annotations

import math

import torch
from tests.museum.exhibit import twin
from torch import Tensor

from clozebox.pretraining import (
    Batch,
    MaskingStrategy,
    choose_exactly,
    number_to_choose,
    numbers_to_choose,
)

LONGEST = 3


@twin
class Tokens(MaskingStrategy):
    """Single tokens, uniformly, an exact number."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_exactly(batch.uniform("choice"), batch, rate)


@twin
class Words(MaskingStrategy):
    """Whole words in a random order, those that would be too many left out."""

    whole_words = True

    def choose(self, batch: Batch, rate: float) -> Tensor:
        ordinary, word = ~batch.special_tokens_mask, self.words(batch)  # (B, T)
        size = torch.zeros_like(word).scatter_add(1, word, ordinary.long())
        order = batch.uniform("choice").argsort(1)
        left, taken = numbers_to_choose(batch, rate), torch.zeros_like(ordinary)
        for each in order.split(1, dim=1):  # (B, 1): a word of every sequence
            length = size.gather(1, each)
            fits = length <= left
            left = left - length * fits
            taken = taken.scatter(1, each, fits)
        return taken.gather(1, word) & ordinary

    def words(self, batch: Batch) -> Tensor:
        """The number of the word that a token is of, (B, T)."""
        pieces = torch.tensor(self.vocabulary.continuation_ids, device=batch.input_ids.device)
        return (~torch.isin(batch.input_ids, pieces)).cumsum(1) - 1


@twin
class Spans(MaskingStrategy):
    """Spans of random length at random places, until there are enough tokens.

    Every draw is a token at least, so as many draws as tokens are enough.
    """

    def choose(self, batch: Batch, rate: float) -> Tensor:
        ordinary = ~batch.special_tokens_mask
        number = (ordinary.cumsum(1) - 1)[:, None]  # (B, 1, T): of the ordinary tokens
        wanted = numbers_to_choose(batch, rate)  # (B, 1)
        draws = number_to_choose(ordinary.shape[1], rate)  # K, for the longest sequence
        drawn = torch.arange(draws, device=wanted.device) < wanted  # (B, K)
        length = self.length(geometric(batch)[:, :draws]) * drawn
        end = length.cumsum(1).minimum(wanted)
        length = end.diff(dim=1, prepend=torch.zeros_like(wanted))
        # Those beyond the number are empty: in their own order, they would crowd one side.
        length = length.gather(1, batch.uniform("order")[:, :draws].argsort(1))
        end = length.cumsum(1)
        free = ordinary.sum(1, keepdim=True) - end[:, -1:]
        gap = (batch.uniform("gap")[:, :draws].sort(1).values * (free + 1)).long()
        start = (gap + end - length)[:, :, None]  # (B, K, 1)
        return self.covered(number, start, length[:, :, None]) & ordinary

    def length(self, draw: Tensor) -> Tensor:
        return (draw - 1) % LONGEST + 1

    def covered(self, number: Tensor, start: Tensor, length: Tensor) -> Tensor:
        return ((number >= start) & (number < start + length)).any(1)  # (B, T)


def geometric(batch: Batch) -> Tensor:
    """Whole numbers from 1 up, each a third as likely to be the last, (B, T)."""
    missed = (1 - batch.uniform("length").double()).log() / math.log(2 / 3)
    return missed.long() + 1


@twin
class Coins(MaskingStrategy):
    """Every token by its own coin: the number is a matter of chance."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        ordinary = ~batch.special_tokens_mask
        each = rate * batch.attention_mask.sum(1) / ordinary.sum(1)  # (B,)
        return (batch.uniform("choice") < each[:, None]) & ordinary

    def max_targets(self, length: int) -> int:
        return length


@twin
class OwnCorruption(Tokens):
    """A strategy that replaces tokens itself, as most code does."""

    def fate(self, batch: Batch) -> Tensor:
        return batch.uniform("fate")

    def _corrupted(self, batch: Batch, chosen: Tensor) -> Tensor:
        fate, ids = self.fate(batch), batch.input_ids  # each (B, T)
        masked = chosen & (fate < self.config.mask_share)
        other = chosen & ~masked & (fate < self.config.mask_share + self.config.random_share)
        shown = ids.masked_fill(masked, self.vocabulary.mask_id)
        return torch.where(other, self.other_token(batch, shown), shown)

    def other_token(self, batch: Batch, shown: Tensor) -> Tensor:
        """What may stand in a token's place, (B, T)."""
        ordinary = torch.from_numpy(self.vocabulary.ordinary_ids).to(shown.device)
        return ordinary[(batch.uniform("replacement") * len(ordinary)).long()]
