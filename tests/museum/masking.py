"""Masking strategies that choose wrongly. B sequences, T tokens."""

from __future__ import annotations

from dataclasses import replace

import torch
from tests.museum.exhibit import exhibit
from tests.museum.right_masking import LONGEST, Coins, Spans, Tokens, Words
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.data import TrainingText
from clozebox.pretraining import (
    Batch,
    MaskingStrategy,
    choose_exactly,
    number_to_choose,
    numbers_to_choose,
)


@exhibit("special tokens", "ModernBERT, sequence_packer.py (issue 212)", 6)
class OnlyPaddingIsLeftOut(MaskingStrategy):
    """Everything but padding may be chosen, so [CLS] and [SEP] are."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        score = batch.uniform("choice").masked_fill(~batch.attention_mask, 2.0)
        return score.argsort(1).argsort(1) < numbers_to_choose(batch, rate)


@exhibit("special tokens")
class OnlyTheEndsAreLeftOut(MaskingStrategy):
    """The first and the last token are special; the [SEP] between two sentences is forgotten."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        place = batch.attention_mask.cumsum(1)
        ends = (place <= 1) | (place == batch.attention_mask.sum(1, keepdim=True))
        score = batch.uniform("choice").masked_fill(ends, 2.0)
        return score.argsort(1).argsort(1) < numbers_to_choose(batch, rate)


@exhibit("special tokens", "cramming, backend/utils.py", 7)
class AnythingIsChosen(MaskingStrategy):
    """No token is left out, padding and special tokens included."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        place = batch.uniform("choice").argsort(1).argsort(1)  # (B, T)
        return place < numbers_to_choose(batch, rate)


@exhibit("special tokens", "transformers, DataCollatorForLanguageModeling (issue 11155)")
class PaddingIsChosen(MaskingStrategy):
    """The lines that kept padding out were removed by mistake."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        kept = batch.special_tokens_mask & batch.attention_mask
        score = batch.uniform("choice").masked_fill(kept, 2.0)
        return score.argsort(1).argsort(1) < numbers_to_choose(batch, rate)


@exhibit("special tokens", "transformers, permutation collator (pull request 8409)")
class AndForOr(MaskingStrategy):
    """``padding & special`` was left out where ``padding | special`` was meant."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        left_out = ~batch.attention_mask & batch.special_tokens_mask
        score = batch.uniform("choice").masked_fill(left_out, 2.0)
        return score.argsort(1).argsort(1) < numbers_to_choose(batch, rate)


@exhibit("rate", "shiba, masking.py (issue 12)")
class NothingIsChosen(MaskingStrategy):
    """``special | attention_mask`` is left out: the mask is True at tokens, not at padding."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        left_out = batch.special_tokens_mask | batch.attention_mask
        return choose_exactly(batch.uniform("choice"), batch, rate) & ~left_out


@exhibit("no side", "cramming, backend/utils.py", 7)
class ScoresThatTie(MaskingStrategy):
    """``argsort(randint(length))``: of equal scores the earlier position wins."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        length = batch.input_ids.shape[1]
        return choose_exactly((batch.uniform("choice") * length).floor(), batch, rate)


@exhibit("time")
class EasyOnesFirst(MaskingStrategy):
    """A curriculum of its own, from the left to anywhere; batches are masked some steps ahead."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        drawn = batch.uniform("choice")  # (B, T)
        place = torch.arange(drawn.shape[1], device=drawn.device) / drawn.shape[1]
        return choose_exactly(drawn + (1 - batch.progress) * place, batch, rate)


@exhibit("rate", "electra, pretrain_helpers.py", 13)
class WithReplacement(MaskingStrategy):
    """Positions are drawn with replacement, so two draws may be one token."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        ordinary = ~batch.special_tokens_mask
        draws = number_to_choose(ordinary.shape[1], rate)  # K
        number = (ordinary.cumsum(1) - 1)[:, None]  # (B, 1, T)
        drawn = batch.uniform("choice")[:, :draws] * ordinary.sum(1, keepdim=True)
        used = torch.arange(draws, device=drawn.device) < numbers_to_choose(batch, rate)
        hit = (number == drawn.long()[:, :, None]) & used[:, :, None]  # (B, K, T)
        return hit.any(1) & ordinary


@exhibit("rate", "ltg-bert, mlm_dataset.py", 3)
class SpansOfLengthZero(Spans):
    """``geometric % longest`` is 0 when the draw is ``longest``.

    With ten as longest, as there, it is one draw in 115; here it is one in five.
    """

    def length(self, draw: Tensor) -> Tensor:
        return draw % LONGEST


@exhibit("reach", "ltg-bert, mlm_dataset.py", 3)
class TheLastTokenIsNeverChosen(Spans):
    """The end of a span, which is exclusive, is clamped to ``size - 1``."""

    def covered(self, number: Tensor, start: Tensor, length: Tensor) -> Tensor:
        last = number.amax(2, keepdim=True)
        return ((number >= start) & (number < (start + length).minimum(last))).any(1)


@exhibit("reach")
class AnotherVocabularysSpecialIds(Tokens):
    """Ids below a number are special in another tokenizer; here they are the commonest pieces."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        special = batch.special_tokens_mask | (batch.input_ids < 30)
        return choose_exactly(
            batch.uniform("choice"), replace(batch, special_tokens_mask=special), rate
        )


@exhibit("whole words", "transformers, DataCollatorForWholeWordMask (issue 11768)")
class WordsByTheirHashes(MaskingConfig):
    """A piece continues a word if it begins with ``##``, which is WordPiece's spelling alone."""

    name = "words_by_their_hashes"
    whole_words = True

    def build(self, text: TrainingText) -> MaskingStrategy:
        spelt = text.store.tokenizer().get_vocab().items()
        pieces = sorted(number for token, number in spelt if token.startswith("##"))
        return Words(self, replace(text.vocabulary, continuation_ids=tuple(pieces)))


@exhibit("whole words")
class TheLastWordIsCut(Words):
    """Words are shuffled, and their tokens taken until there are enough."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_exactly(batch.uniform("choice").gather(1, self.words(batch)), batch, rate)


@exhibit("special tokens", "fairseq, --mask-whole-words (issue 3924)", 10)
class Crashes(Words):
    """The task's ``args`` had been renamed; nobody had run it with whole words since."""

    def words(self, batch: Batch) -> Tensor:
        return super().words(self.args.batch)


@exhibit("rate")
class OfTheOrdinaryTokens(MaskingStrategy):
    """The share is taken of the ordinary tokens; that of BERT counts [CLS] and [SEP] too."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        ordinary = replace(batch, attention_mask=~batch.special_tokens_mask)
        return choose_exactly(batch.uniform("choice"), ordinary, rate)


@exhibit("rate")
class TheFirstRateForEver(MaskingStrategy):
    """The rate is read from the settings: a schedule moves nothing."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_exactly(batch.uniform("choice"), batch, self.config.rate)


@exhibit("bound")
class MoreThanTheBound(Coins):
    """A number that chance decides, under the bound of an exact one: on a GPU the rest is lost."""

    def max_targets(self, length: int) -> int:
        return number_to_choose(length, self.config.rate)


@exhibit("bound")
class TheBoundOfTheFirstRate(Tokens):
    """A bound for the rate at the beginning, when the schedule rises: later the rest is lost."""

    def max_targets(self, length: int) -> int:
        return number_to_choose(length, self.config.rate)


@exhibit("no side")
class CutFromTheLeft(Coins):
    """Every token by its own coin, and of these the first ones, up to the bound."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        chosen = super().choose(batch, rate)
        return chosen & (chosen.cumsum(1) <= numbers_to_choose(batch, rate))


@exhibit("pure", "transformers, data collators (issue 36357)")
class DrawnFromTheGlobalGenerator(MaskingStrategy):
    """``torch.rand``: the masks hang on what drew before."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_exactly(torch.rand_like(batch.uniform("choice")), batch, rate)


@exhibit("pure")
class CutAtTheBatchsQuantile(MaskingStrategy):
    """The threshold is taken over the batch, so that one sequence's masks hang on the others."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        score = batch.uniform("choice").masked_fill(batch.special_tokens_mask, 2.0)
        return score < score.flatten().quantile(rate)

    def max_targets(self, length: int) -> int:
        return length


@exhibit("pure")
class CountsItsCalls(MaskingStrategy):
    """A number of its own for every call: a resumed run masks otherwise."""

    calls = 0

    def choose(self, batch: Batch, rate: float) -> Tensor:
        self.calls += 1
        return choose_exactly(batch.uniform(f"choice/{self.calls}"), batch, rate)


@exhibit("fresh")
class MaskedOnceAndForAll(MaskingStrategy):
    """A generator with a fixed seed: the same mask in every epoch, and for every seed."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        drawn = torch.rand(batch.input_ids.shape[1], generator=torch.Generator().manual_seed(0))
        score = drawn.to(batch.input_ids.device).expand(batch.input_ids.shape)
        return choose_exactly(score, batch, rate)


@exhibit("device")
class AsksForANumber(MaskingStrategy):
    """``.tolist()`` in the choice: the host waits for the device at every step."""

    def choose(self, batch: Batch, rate: float) -> Tensor:
        score = batch.uniform("choice").masked_fill(batch.special_tokens_mask, 2.0)
        chosen = torch.zeros_like(batch.special_tokens_mask)
        for row, wanted in enumerate(numbers_to_choose(batch, rate)[:, 0].tolist()):
            chosen[row, score[row].argsort()[:wanted]] = True
        return chosen & ~batch.special_tokens_mask


@exhibit("settings", "academic-budget-bert, generate_training_commands.py", 8)
class AnyWordIsTrue(MaskingConfig):
    """A flag that is handed on as text: ``"False"`` is true, so both arms are one."""

    name = "any_word_is_true"
    early: bool = False

    def build(self, text: TrainingText) -> MaskingStrategy:
        return Early(self, text.vocabulary)


class Early(MaskingStrategy):
    def choose(self, batch: Batch, rate: float) -> Tensor:
        score = batch.uniform("choice")
        if str(self.config.early):
            score = score + torch.arange(score.shape[1], device=score.device) / 1000
        return choose_exactly(score, batch, rate)
