"""What an objective is given: a batch, and the usual ways of looking at it.

B sequences, T tokens, D hidden size, N heads, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clozebox.data import Rows, Vocabulary, uniform
from clozebox.model import Attention, AttentionKind

if TYPE_CHECKING:
    from clozebox.pretraining.masking import MaskingStrategy

IGNORE_INDEX = -100
"""The label of a position at which nothing is predicted (torch's own convention)."""


@dataclass(frozen=True, eq=False)
class View:
    """What the encoder is shown, and what is to be predicted from it.

    Objectives that return the *same* view object share one encoder pass.
    """

    input_ids: Tensor  # (B, T)
    token_type_ids: Tensor  # (B, T)
    attention: Attention
    labels: Tensor  # (B, T), IGNORE_INDEX where nothing is predicted
    next_sentence_label: Tensor | None = None  # (B,), 0 = next, 1 = random
    max_targets: int | None = None
    """A bound on the labelled tokens of one sequence, known without looking at the device."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Real tokens, never altered; the views are made from it, each once."""

    input_ids: Tensor  # (B, T)
    token_type_ids: Tensor  # (B, T)
    attention_mask: Tensor  # (B, T), True where there is a token
    special_tokens_mask: Tensor  # (B, T), True at [CLS], [SEP] and padding
    next_sentence_label: Tensor | None  # (B,)
    vocabulary: Vocabulary
    masking: MaskingStrategy | None
    seed: int
    first: int
    """Position of the first sequence in the endless stream of examples: the key of its masks."""
    stream: str = "train"

    @classmethod
    def of(
        cls,
        rows: Rows,
        vocabulary: Vocabulary,
        masking: MaskingStrategy | None,
        *,
        seed: int,
        first: int,
        stream: str = "train",
        device: torch.device | str = "cpu",
    ) -> Batch:
        """Rows of the data side, on the training device."""

        def put(array: object) -> Tensor:
            return torch.as_tensor(array).to(device, non_blocking=True)

        label = rows.next_sentence_label
        return cls(
            input_ids=put(rows.input_ids),
            token_type_ids=put(rows.token_type_ids),
            attention_mask=put(rows.attention_mask),
            special_tokens_mask=put(rows.special_tokens_mask),
            next_sentence_label=None if label is None else put(label),
            vocabulary=vocabulary,
            masking=masking,
            seed=seed,
            first=first,
            stream=stream,
        )

    def uniform(self, name: str) -> Tensor:
        """One number in [0, 1) for each token, (B, T); a pure function of (seed, name, sequence).

        Drawn by a counter on the host, so that every device, rank and batch cut gets the same bits.
        """
        rows, width = self.input_ids.shape
        numbers = uniform(self.seed, f"{self.stream}/{name}", self.first, rows, width)
        return torch.from_numpy(numbers).to(self.input_ids.device, non_blocking=True)

    @cached_property
    def plain(self) -> View:
        """Nothing hidden, nothing predicted: the words as they are, read from both sides."""
        return View(
            input_ids=self.input_ids,
            token_type_ids=self.token_type_ids,
            attention=Attention(self.attention_mask, "bidirectional"),
            labels=torch.full_like(self.input_ids, IGNORE_INDEX),
            next_sentence_label=self.next_sentence_label,
            max_targets=0,
        )

    @cached_property
    def masked(self) -> View:
        """The masking strategy applied: the chosen tokens corrupted, and predicted."""
        if self.masking is None:
            raise ValueError("an objective asked for batch.masked, but the arm has no masking")
        chosen = self.masking.choose(self)
        return replace(
            self.plain,
            input_ids=self.masking.corrupt(self, chosen),
            labels=self.input_ids.where(chosen, IGNORE_INDEX),
            max_targets=self.masking.max_targets(self.input_ids.shape[1]),
        )

    @cached_property
    def causal(self) -> View:
        """Each token is shown what stands before it, and predicts the token after it."""
        return self._one_sided("causal", step=+1)

    @cached_property
    def anticausal(self) -> View:
        """Each token is shown what stands after it, and predicts the token before it."""
        return self._one_sided("anticausal", step=-1)

    def _one_sided(self, kind: AttentionKind, step: int) -> View:
        length = self.input_ids.shape[1]
        outermost = length - 1 if step == 1 else 0
        # Padding is never predicted: only real tokens have a real neighbour.
        real = self.attention_mask & self.attention_mask.roll(-step, 1)
        real[:, outermost] = False
        return replace(
            self.plain,
            # Constant segments: they would tell where the second sentence begins.
            token_type_ids=torch.zeros_like(self.token_type_ids),
            attention=Attention(self.attention_mask, kind),
            labels=self.input_ids.roll(-step, 1).where(real, IGNORE_INDEX),
            max_targets=length - 1,
        )

    def hide(self, chosen: Tensor) -> View:
        """``chosen`` (B, T) all replaced by [MASK], and predicted."""
        return replace(
            self.plain,
            input_ids=self.input_ids.masked_fill(chosen, self.vocabulary.mask_id),
            labels=self.input_ids.where(chosen, IGNORE_INDEX),
            max_targets=None,
        )


def only_targets(view: View, chosen: Tensor, step: int) -> View:
    """A one-sided view that predicts only the ``chosen`` tokens (B, T), each from its neighbour."""
    return replace(view, labels=view.labels.where(chosen.roll(-step, 1), IGNORE_INDEX))
