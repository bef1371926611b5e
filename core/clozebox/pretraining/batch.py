"""What an objective is given: a batch, and the usual ways of looking at it.

B sequences, T tokens, D hidden size, N heads, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from clozebox.data import Rows, Vocabulary, uniform
from clozebox.model import Attention
from clozebox.pretraining.view import IGNORE_INDEX, View

if TYPE_CHECKING:
    from clozebox.pretraining.masking import MaskingStrategy


class _Drawn(NamedTuple):
    """The places that numbers are drawn for, in one go."""

    first: int
    number: int
    rows: np.ndarray | None
    """Which of them are those of the batch; None where all are, in order."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Real tokens, never altered; the views are made from it, each once."""

    input_ids: Tensor  # (B, T)
    token_type_ids: Tensor  # (B, T)
    attention_mask: Tensor  # (B, T), True where there is a token
    special_tokens_mask: Tensor  # (B, T), True at [CLS], [SEP] and padding
    pair_label: Tensor | None  # (B,), 0 = the second part follows the first
    vocabulary: Vocabulary
    masking: MaskingStrategy | None
    seed: int
    places: np.ndarray
    """(B,): where each sequence stands in the endless stream of examples: the key of its masks."""
    stream: str = "train"
    progress: float = 1.0
    """The share of the budget that is spent, for what changes over training."""
    document_ids: Tensor | None = None
    """(B, T), where a row packs several documents, each with its own [CLS] and [SEP]."""

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
        progress: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> Batch:
        """Rows of the data side, on the training device."""

        def put(array: object) -> Tensor:
            return torch.as_tensor(array).to(device, non_blocking=True)

        label = rows.pair_label
        return cls(
            input_ids=put(rows.input_ids),
            token_type_ids=put(rows.token_type_ids),
            attention_mask=put(rows.attention_mask),
            special_tokens_mask=put(rows.special_tokens_mask),
            pair_label=None if label is None else put(label),
            vocabulary=vocabulary,
            masking=masking,
            seed=seed,
            places=np.arange(first, first + len(rows.input_ids)),
            stream=stream,
            progress=progress,
        )

    def take(self, rows: np.ndarray) -> Batch:
        """The batch of some of the rows, in order; each keeps its masks."""
        index = torch.from_numpy(rows).to(self.input_ids.device, non_blocking=True)
        taken = {
            field.name: getattr(self, field.name)[index]
            for field in fields(self)
            if isinstance(getattr(self, field.name), Tensor)
        }
        return replace(self, places=self.places[rows], **taken)

    def uniform(self, name: str) -> Tensor:
        """One number in [0, 1) for each token, (B, T); a pure function of (seed, name, sequence).

        Drawn by a counter on the host, so that every device, rank and batch cut gets the same bits.
        """
        drawn, width = self._drawn, self.input_ids.shape[1]
        numbers = uniform(self.seed, f"{self.stream}/{name}", drawn.first, drawn.number, width)
        if drawn.rows is not None:
            numbers = numbers[drawn.rows]
        return torch.from_numpy(numbers).to(self.input_ids.device, non_blocking=True)

    @cached_property
    def _drawn(self) -> _Drawn:
        first, last = int(self.places.min()), int(self.places.max())
        rows = self.places - first
        in_a_row = np.array_equal(rows, np.arange(len(rows)))
        return _Drawn(first, last - first + 1, None if in_a_row else rows)

    @cached_property
    def plain(self) -> View:
        """Nothing hidden, nothing predicted: the words as they are, read from both sides."""
        return View(
            input_ids=self.input_ids,
            token_type_ids=self.token_type_ids,
            attention=Attention(self.attention_mask, document_ids=self.document_ids),
            labels=torch.full_like(self.input_ids, IGNORE_INDEX),
            pair_label=self.pair_label,
        )

    @cached_property
    def masked(self) -> View:
        """The masking strategy applied: the chosen tokens corrupted, and predicted."""
        if self.masking is None:
            raise ValueError("an objective asked for batch.masked, but the arm has no masking")
        masked = self.masking.apply(self)
        return replace(
            self.plain,
            input_ids=masked.input_ids,
            labels=self.input_ids.where(masked.predicted, IGNORE_INDEX),
            max_targets=self.masking.max_targets(self.input_ids.shape[1]),
        )

    @cached_property
    def causal(self) -> View:
        """Each token is shown what stands before it, and predicts the token after it."""
        attention = Attention(self.attention_mask, "causal", document_ids=self.document_ids)
        return self._one_sided(attention, step=+1)

    @cached_property
    def anticausal(self) -> View:
        """Each token is shown what stands after it, and predicts the token before it."""
        attention = Attention(self.attention_mask, "anticausal", document_ids=self.document_ids)
        return self._one_sided(attention, step=-1)

    def prefix(self, prefix_length: Tensor) -> View:
        """The first ``prefix_length`` (B,) tokens are shown whole; the rest is read as ``causal``.

        Predicted is what follows the prefix; in a row that packs documents, too, the first tokens
        of the row are its prefix.
        """
        attention = Attention(
            self.attention_mask,
            "prefix",
            prefix_length=prefix_length,
            document_ids=self.document_ids,
        )
        view = self._one_sided(attention, step=+1)
        place = torch.arange(self.input_ids.shape[1], device=self.input_ids.device)
        follows = place >= prefix_length[:, None] - 1  # (B, T)
        return replace(view, labels=view.labels.where(follows, IGNORE_INDEX))

    def _one_sided(self, attention: Attention, step: int) -> View:
        length = self.input_ids.shape[1]
        outermost = length - 1 if step == 1 else 0
        # Padding is never predicted: only real tokens have a real neighbour, in their own document.
        real = self.attention_mask & self.attention_mask.roll(-step, 1)
        real[:, outermost] = False
        if self.document_ids is not None:
            real &= self.document_ids == self.document_ids.roll(-step, 1)
        return replace(
            self.plain,
            # Constant segments: they would tell where the second sentence begins.
            token_type_ids=torch.zeros_like(self.token_type_ids),
            attention=attention,
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
