"""Masking strategies that choose rightly, and then do something else to the tokens."""

from __future__ import annotations

import torch
from tests.museum.exhibit import exhibit
from tests.museum.right_masking import OwnCorruption, Tokens, Words
from torch import Tensor

from clozebox.pretraining import Batch, MaskingStrategy, choose_exactly
from clozebox.pretraining.corruption import labels_at
from clozebox.pretraining.masking import Masked


@exhibit("special tokens", "ModernBERT, sequence_packer.py", 6)
class UpToTheLargestId(OwnCorruption):
    """Random ids from 0 to the largest of the batch, taken after [MASK] was written."""

    def other_token(self, batch: Batch, shown: Tensor) -> Tensor:
        return (batch.uniform("replacement") * (shown.max() + 1)).long()


@exhibit("special tokens", "ltg-bert, mlm_dataset.py", 3)
class OneSpecialTokenTooMany(OwnCorruption):
    """Random ids from ``number of special tokens - 1`` up."""

    def other_token(self, batch: Batch, shown: Tensor) -> Tensor:
        low = len(self.vocabulary.special_ids) - 1
        return low + (batch.uniform("replacement") * (self.vocabulary.size - low)).long()


@exhibit("special tokens", "transformers, data_collator.py; methylbert (issue 28)", 14)
class TheWholeVocabulary(OwnCorruption):
    """Random ids from the whole vocabulary, special tokens included."""

    def other_token(self, batch: Batch, shown: Tensor) -> Tensor:
        return (batch.uniform("replacement") * self.vocabulary.size).long()


@exhibit("split")
class AnotherVocabularysSize(OwnCorruption):
    """A size that was written down for another tokenizer: most tokens are never put anywhere."""

    def other_token(self, batch: Batch, shown: Tensor) -> Tensor:
        return 5 + (batch.uniform("replacement") * 50).long()


@exhibit("split", "transformers, issues 10285 and 21803")
class ATenthOfTheRest(OwnCorruption):
    """A second coin of 0.1 for what the first left over, where 0.5 makes a tenth of all."""

    def _corrupted(self, batch: Batch, chosen: Tensor) -> Tensor:
        masked = chosen & (self.fate(batch) < self.config.mask_share)
        other = chosen & ~masked & (batch.uniform("second") < self.config.random_share)
        shown = batch.input_ids.masked_fill(masked, self.vocabulary.mask_id)
        return torch.where(other, self.other_token(batch, shown), shown)


@exhibit("split", "transformers, whole word masking (issue 36903)")
class TheShareIsNotRead(Words):
    """Whole words were always split 80/10/10, whatever ``mask_replace_prob`` said."""

    def _corrupted(self, batch: Batch, chosen: Tensor) -> Tensor:
        usual = self.config.model_copy(update={"mask_share": 0.8, "random_share": 0.1})
        return Words(usual, self.vocabulary)._corrupted(batch, chosen)


@exhibit("split")
class OneNumberForBoth(Tokens):
    """The number that chose a token decides its fate too: the chosen are the low ones."""

    def fate(self, batch: Batch) -> Tensor:
        return batch.uniform("choice")


@exhibit("split")
class OneWordForBoth(MaskingStrategy):
    """The same by its bits: the name of the stream that chooses is that of the corruption."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_exactly(batch.bits("corruption"), batch, rate)


@exhibit("originals", "transformers, DataCollatorForLanguageModeling (issue 8619)")
class WithoutTheClone(OwnCorruption):
    """The tokens are replaced in place, so that the labels are read from what replaced them."""

    def _corrupted(self, batch: Batch, chosen: Tensor) -> Tensor:
        return batch.input_ids.copy_(super()._corrupted(batch, chosen))


@exhibit("originals")
class UnchosenTokensToo(OwnCorruption):
    """``chosen &`` was forgotten: a tenth of all tokens is replaced, most of it unpredicted."""

    def _corrupted(self, batch: Batch, chosen: Tensor) -> Tensor:
        first, split = self.config.mask_share, self.config.mask_share + self.config.random_share
        fate = self.fate(batch)
        other = (fate >= first) & (fate < split) & ~batch.special_tokens_mask
        shown = batch.input_ids.masked_fill(chosen & (fate < first), self.vocabulary.mask_id)
        return torch.where(other, self.other_token(batch, shown), shown)


@exhibit("originals")
class NotThoseThatItSays(OwnCorruption):
    """Predicted is one choice, and corrupted another."""

    def apply(self, batch: Batch) -> Masked:
        rate, again = self.rate_at(batch.progress), batch.uniform("predicted")
        predicted = choose_exactly(again, batch, rate)
        return Masked(super().apply(batch).input_ids, labels_at(batch.input_ids, predicted))
