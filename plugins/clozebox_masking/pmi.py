"""Collocations as units (Levine et al., 2021, "PMI-Masking").

One word of "prime minister" tells the other, so hiding one of them teaches little: what stands
together is hidden together.

B sequences, T tokens; each sequence has at most T words.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from clozebox import MaskingConfig
from clozebox.data import Vocabulary
from clozebox.pretraining import Batch, MaskingStrategy
from clozebox_masking.collocations import PIECE_BASE, WORD_BASE, Codes, piece_codes, powers
from clozebox_masking.units import choose_whole, first_tokens, word_begins, word_starters

_PASSES = 2
"""How often n-grams of one length are looked for: at first, those that overlap hide each other."""


class PmiMasking(MaskingStrategy):
    """``keys`` (K,) are those of the collocations, of at most ``max_length`` words."""

    def __init__(
        self, config: MaskingConfig, vocabulary: Vocabulary, keys: Codes, max_length: int
    ) -> None:
        super().__init__(config, vocabulary)
        self.keys = torch.from_numpy(keys)
        self.max_length = max_length
        self.starters = word_starters(vocabulary)
        self.piece_codes = torch.from_numpy(piece_codes(vocabulary.size))

    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_whole(batch.bits("choice"), self.unit_begins(batch), batch, rate)

    def unit_begins(self, batch: Batch) -> Tensor:
        """(B, T) bool: True where a collocation begins, or a word that is in none."""
        begins = word_begins(batch, self.starters)  # (B, T)
        word = begins.cumsum(dim=1) - 1  # (B, T): of each token, the number of its word
        alone = self._alone(self._word_codes(batch, begins, word))  # (B, T): for each word
        # No collocation holds a special token: there is none in the text that they are counted in.
        return begins & alone.gather(1, word)

    def _word_codes(self, batch: Batch, begins: Tensor, word: Tensor) -> Tensor:
        """(B, T): the code of the n-th word, 0 after the last."""
        device, length = word.device, word.shape[1]
        place = torch.arange(length, device=device) - first_tokens(begins)  # (B, T): in the word
        power = torch.from_numpy(powers(PIECE_BASE, length)).to(device, non_blocking=True)
        codes = self.piece_codes.to(device, non_blocking=True)[batch.input_ids] * power[place]
        return torch.zeros_like(word).scatter_add(1, word, codes)

    def _alone(self, words: Tensor) -> Tensor:
        """Codes of words (B, T) -> bool: whether a unit begins at the word.

        The longest collocations come first, and of two that overlap the one on the left.
        """
        begins = torch.ones_like(words, dtype=torch.bool)
        free = begins.clone()
        matches = self._matches(words)
        for length in range(self.max_length, 1, -1):
            for _ in range(_PASSES):
                here = matches[length - 2] & _ahead(free, length).all(-1)
                here &= ~_behind(here, length)[..., :-1].any(-1)
                covered = _behind(here, length).any(-1)  # (B, T)
                free &= ~covered
                begins &= here | ~covered
        return begins

    def _matches(self, words: Tensor) -> list[Tensor]:
        """For lengths from 2 on: whether a collocation of that length begins at a word, (B, T)."""
        keys = self.keys.to(words.device, non_blocking=True)
        found, key = [], words
        for _ in range(2, self.max_length + 1):
            key = words + WORD_BASE * F.pad(key[:, 1:], (0, 1))
            index = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
            found.append(keys[index] == key)
        return found


def _ahead(flags: Tensor, length: int) -> Tensor:
    """(B, T) -> (B, T, length): each, and those after it."""
    return F.pad(flags, (0, length - 1)).unfold(1, length, 1)


def _behind(flags: Tensor, length: int) -> Tensor:
    """(B, T) -> (B, T, length): those before each, and itself last."""
    return F.pad(flags, (length - 1, 0)).unfold(1, length, 1)
