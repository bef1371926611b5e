"""Objectives that show or ask the wrong thing: views, labels, attention. B sequences, T tokens."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from tests.museum.exhibit import exhibit
from tests.museum.right_objectives import Backward, Forward, Masked, NextSentence
from torch import Tensor

from clozebox.model import Attention
from clozebox.pretraining import IGNORE_INDEX, Batch, TokenObjective, View, only_targets


@exhibit("leakage")
class NotShifted(TokenObjective):
    """A causal model that is asked for the token at which it looks."""

    def view(self, batch: Batch) -> View:
        labels = batch.input_ids.masked_fill(batch.special_tokens_mask, IGNORE_INDEX)
        return replace(batch.causal, labels=labels)


@exhibit("context")
class ShiftedTwice(TokenObjective):
    """The caller shifts the labels, and the model does so again."""

    def view(self, batch: Batch) -> View:
        labels = batch.causal.labels.roll(-1, 1)
        labels[:, -1] = IGNORE_INDEX
        return replace(batch.causal, labels=labels)


@exhibit("context")
class HiddenAndOneSided(Masked):
    """A masked model with a decoder's attention: it reads one side and throws the other away."""

    def view(self, batch: Batch) -> View:
        return replace(batch.masked, attention=batch.causal.attention)


@exhibit("context")
class EachSentenceByItself(NextSentence):
    """Attention that stops at every [SEP]: [CLS] never sees the sentence that is asked about."""

    def view(self, batch: Batch) -> View:
        sentences = Attention(batch.attention_mask, document_ids=batch.token_type_ids)
        return replace(batch.plain, attention=sentences)


@exhibit("leakage")
class ReadsBothSides(TokenObjective):
    """An encoder's attention, which was never made causal."""

    def view(self, batch: Batch) -> View:
        return replace(batch.causal, attention=batch.plain.attention)


@exhibit("leakage")
class OneTooFar(TokenObjective):
    """``triu(diagonal=2)`` is hidden: each position sees the one that it is asked for."""

    def view(self, batch: Batch) -> View:
        length, real = batch.input_ids.shape[1], batch.attention_mask[:, None, None]
        hidden = torch.ones(length, length, dtype=torch.bool, device=real.device).triu(2)
        attention = copy.copy(batch.plain.attention)
        attention.mask = ~hidden & real  # (B, 1, T, T)
        return replace(batch.causal, attention=attention)


@exhibit("leakage")
class ReadsTheWrongSide(Backward):
    """A backward model with a forward model's attention."""

    def view(self, batch: Batch) -> View:
        return replace(batch.anticausal, attention=batch.causal.attention)


@exhibit("leakage", "MASS, evaluator.py (issue 34)")
class NothingIsHidden(Masked):
    """The labels of a masked model, and the text as it is."""

    def view(self, batch: Batch) -> View:
        return replace(batch.masked, input_ids=batch.input_ids)


@exhibit("leakage", "transformers, run_lm_finetuning.py (pull request 1633)")
class EvaluatedUnmasked(Masked):
    """Nothing is hidden in evaluation: a perplexity of 1.0 for every model."""

    def view(self, batch: Batch) -> View:
        if self.training:
            return batch.masked
        return replace(batch.plain, labels=batch.input_ids.masked_fill(~batch.attention_mask, -100))


@exhibit("pure")
class TrainedUnmasked(Masked):
    """Nothing is hidden in training: what is measured in evaluation was never learnt."""

    def view(self, batch: Batch) -> View:
        if not self.training:
            return batch.masked
        return replace(batch.masked, input_ids=batch.input_ids)


@exhibit("leakage")
class EveryTokenIsAsked(Masked):
    """Labels at the visible tokens too: most of the loss is copying."""

    def view(self, batch: Batch) -> View:
        labels = batch.input_ids.masked_fill(batch.special_tokens_mask, IGNORE_INDEX)
        return replace(batch.masked, labels=labels, max_targets=None)


@exhibit("leakage")
class ThePrefixIsAsked(TokenObjective):
    """A prefix that is read from both sides, and predicted all the same."""

    def view(self, batch: Batch) -> View:
        view = batch.prefix(batch.attention_mask.sum(1) // 2)
        return replace(view, labels=batch.causal.labels, max_targets=batch.causal.max_targets)


@exhibit("labels")
class LabelsFromTheCorrupted(Masked):
    """The labels are read from what the model is shown, so it is asked to say [MASK]."""

    def view(self, batch: Batch) -> View:
        predicted = batch.masked.labels != IGNORE_INDEX
        return replace(batch.masked, labels=batch.masked.input_ids.where(predicted, IGNORE_INDEX))


@exhibit("order")
class LabelsOfTheRowBefore(Masked):
    """Labels that were shuffled apart from their sequences."""

    def view(self, batch: Batch) -> View:
        other = batch.input_ids.roll(1, 0)
        return replace(
            batch.masked, labels=other.where(batch.masked.labels != IGNORE_INDEX, IGNORE_INDEX)
        )


@exhibit("padding")
class PaddingIsAsked(TokenObjective):
    """The last token is asked for the padding behind it."""

    def view(self, batch: Batch) -> View:
        labels = batch.input_ids.roll(-1, 1).where(batch.attention_mask, IGNORE_INDEX)
        labels[:, -1] = IGNORE_INDEX
        return replace(batch.causal, labels=labels)


@exhibit("padding")
class WrappedRound(TokenObjective):
    """``roll`` brings the first token behind the last: a full row is asked for its [CLS]."""

    def view(self, batch: Batch) -> View:
        real = batch.attention_mask & batch.attention_mask.roll(-1, 1)
        return replace(
            batch.causal,
            labels=batch.input_ids.roll(-1, 1).where(real, IGNORE_INDEX),
            max_targets=None,
        )


@exhibit("padding", "transformers, DataCollatorForWholeWordMask (issue 12998)")
class WithoutAttentionMask(Masked):
    """No attention mask is handed on, so padding is attended to."""

    def view(self, batch: Batch) -> View:
        return replace(batch.masked, attention=Attention(None))


@exhibit("padding")
class FlippedWithItsPadding(TokenObjective):
    """A backward model by reversing rows: padding comes first, and every token reads it."""

    def view(self, batch: Batch) -> View:
        flipped = replace(
            batch,
            input_ids=batch.input_ids.flip(1),
            attention_mask=batch.attention_mask.flip(1),
            special_tokens_mask=batch.special_tokens_mask.flip(1),
        )
        return flipped.causal


@exhibit("packing", "NeoBERT, collator.py", 9)
class PackedTogether(Masked):
    """Packing sets the attention mask to None: documents of a row read each other."""

    def view(self, batch: Batch) -> View:
        return replace(batch.masked, attention=Attention(batch.attention_mask))


@exhibit("packing")
class OverTheBorder(TokenObjective):
    """The last token of a document is asked for the first of the next, which it cannot know."""

    def view(self, batch: Batch) -> View:
        labels = replace(batch, document_ids=None).causal.labels
        return replace(batch.causal, labels=labels)


@exhibit("labels")
class MasksTurnedRound(TokenObjective):
    """True means padding in one library and a token in another: padding is what is asked."""

    def view(self, batch: Batch) -> View:
        return replace(batch, attention_mask=~batch.attention_mask).causal


@exhibit("targets")
class NoLabelIsLeft(Forward):
    """The labels are taken away where there is a token, and there were none elsewhere."""

    def view(self, batch: Batch) -> View:
        labels = batch.causal.labels.masked_fill(batch.attention_mask, IGNORE_INDEX)
        return replace(batch.causal, labels=labels)


@exhibit("targets", "NeoBERT, trainer.py", 9)
class CountsThePadding(Masked):
    """``(attention_mask == 0).sum()``, where packing has set the mask to None."""

    attention_mask: Tensor | None = None

    def targets(self, batch: Batch) -> Any:
        padding = (self.attention_mask == 0).sum()
        return {**super().targets(batch), "padding": padding}


@exhibit("learns", "UER-py, bilm_target.py", 2)
class OneArgumentTooFew(Forward):
    """``lm`` takes the segments too: a TypeError at the first batch."""

    def forward(self, hidden: Tensor, view: View) -> Any:
        return self.lm(hidden, view)

    def lm(self, hidden: Tensor, view: View, segments: Tensor) -> Any:
        return super().forward(hidden + segments[..., None], view)


class Careless(Attention):
    """Says ``causal``, and lets the kernel see everything."""

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Tensor:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value)


@exhibit("settings")
class MaskingInVain(Forward):
    """``needs_masking`` was copied along: the arms of a sweep over masking rates are one run."""

    needs_masking = True


@exhibit("attention")
class ADeafKernel(Forward):
    """A kernel that was never told ``is_causal``."""

    def view(self, batch: Batch) -> View:
        return replace(batch.causal, attention=Careless(batch.attention_mask, "causal"))


@exhibit("cloze")
class BlanksAreShown(Masked):
    """Trained as it should be; but what is filled in is shown."""

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return replace(batch.plain, labels=batch.input_ids.where(chosen, IGNORE_INDEX))


@exhibit("cloze")
class BlanksFromTheWrongNeighbour(Forward):
    """A forward model that is asked for what stands behind the blank."""

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        return only_targets(batch.causal, chosen, step=-1)


@exhibit("bound")
class FewerThanThereAre(Forward):
    """A bound for the labels that holds for other masks: on a GPU the rest is dropped."""

    def view(self, batch: Batch) -> View:
        return replace(batch.causal, max_targets=batch.input_ids.shape[1] // 4)
