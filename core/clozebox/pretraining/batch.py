"""What an objective is given: a batch, and the usual ways of looking at it.

B sequences, T tokens, D hidden size, N heads, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from clozebox.data import Rows, Vocabulary, bits, uniform
from clozebox.model import Attention, AttentionKind, Extents, to_device
from clozebox.pretraining.view import IGNORE_INDEX, View

if TYPE_CHECKING:
    from clozebox.pretraining.masking import MaskingStrategy


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
    first: int
    """Where the batch begins in the endless stream of examples: the key of its masks."""
    rows: np.ndarray | None = None
    """(B,): which sequences from ``first`` on these are; None where they are the next B."""
    stream: str = "train"
    progress: float = 1.0
    """The share of the budget that is spent, for what changes over training."""
    document_ids: Tensor | None = None
    """(B, T), where a row packs several documents, each with its own [CLS] and [SEP]."""
    extents: Extents | None = None
    """What the host knows of ``attention_mask``, so that no device need be asked."""

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
            return to_device(torch.as_tensor(array), device)

        label, attention_mask = rows.pair_label, put(rows.attention_mask)
        return cls(
            input_ids=put(rows.input_ids),
            token_type_ids=put(rows.token_type_ids),
            attention_mask=attention_mask,
            special_tokens_mask=put(rows.special_tokens_mask),
            pair_label=None if label is None else put(label),
            vocabulary=vocabulary,
            masking=masking,
            seed=seed,
            first=first,
            stream=stream,
            progress=progress,
            extents=Extents(attention_mask, rows.attention_mask.sum(1)),
        )

    def part(self, begin: int, count: int, progress: float, *, with_masks: bool) -> Batch:
        """The sequences ``begin .. begin + count``, at another time of training.

        ``with_masks``, they keep the masked view that was made of all; it is not made again.
        """
        rows = slice(begin, begin + count)
        first, which = self.first, self.rows
        if which is None:  # the next ones, from ``first`` on
            first += begin
        else:
            which = which[rows]
        sliced = self._of_rows(rows, rows)
        part = replace(self, first=first, rows=which, progress=progress, **sliced)
        if with_masks and self.masking is not None:
            vars(part)["masked"] = self.masked.part(rows, part._both_sides)  # as if asked for
        return part

    def take(self, rows: np.ndarray) -> Batch:
        """The batch of some of the rows, in order; each keeps its masks."""
        index = to_device(torch.from_numpy(rows), self.input_ids.device)
        which = rows if self.rows is None else self.rows[rows]
        return replace(self, rows=which, **self._of_rows(rows, index))

    def _of_rows(self, rows: slice | np.ndarray, index: slice | Tensor) -> dict[str, Any]:
        """Every field of some of the sequences; ``index`` says which on the device."""
        found: dict[str, Any] = {name: getattr(self, name)[index] for name in self._tensors}
        if self.extents is not None and self.extents.attention_mask is self.attention_mask:
            found["extents"] = self.extents.part(rows, found["attention_mask"])
        return found

    @cached_property
    def _tensors(self) -> list[str]:
        return [name for name, value in vars(self).items() if isinstance(value, Tensor)]

    @property
    def places(self) -> np.ndarray:
        """(B,): where each sequence stands in the stream of examples."""
        rows = np.arange(len(self.input_ids)) if self.rows is None else self.rows
        return self.first + rows

    def uniform(self, name: str) -> Tensor:
        """One number in [0, 1) for each token, (B, T); a pure function of (seed, name, sequence).

        Drawn by a counter on the host, so that every device, rank and batch cut gets the same bits.
        """
        return self._draw(uniform, name)

    def bits(self, name: str) -> Tensor:
        """32 random bits for each token, uint32 (B, T): what ``uniform(name)`` is made of."""
        return self._draw(bits, name)

    def _draw(self, draw: Callable[[int, str, int, int, int], np.ndarray], name: str) -> Tensor:
        rows, (count, width) = self.rows, self.input_ids.shape
        number = count if rows is None else int(rows.max()) + 1
        drawn = draw(self.seed, f"{self.stream}/{name}", self.first, number, width)
        numbers = torch.from_numpy(drawn if rows is None else drawn[rows])
        return to_device(numbers, self.input_ids.device)

    @cached_property
    def plain(self) -> View:
        """Nothing hidden, nothing predicted: the words as they are, read from both sides."""
        return View(
            input_ids=self.input_ids,
            token_type_ids=self.token_type_ids,
            attention=self._both_sides,
            labels=torch.full_like(self.input_ids, IGNORE_INDEX),
            pair_label=self.pair_label,
        )

    @cached_property
    def _both_sides(self) -> Attention:
        return self._attention("bidirectional")

    @cached_property
    def masked(self) -> View:
        """The masking strategy applied: the chosen tokens corrupted, and predicted."""
        if self.masking is None:
            raise ValueError("an objective asked for batch.masked, but the arm has no masking")
        masked = self.masking.apply(self)
        return View(
            input_ids=masked.input_ids,
            token_type_ids=self.token_type_ids,
            attention=self._both_sides,
            labels=masked.labels,
            pair_label=self.pair_label,
            max_targets=self.masking.max_targets(self.input_ids.shape[1]),
        )

    @cached_property
    def causal(self) -> View:
        """Each token is shown what stands before it, and predicts the token after it."""
        return self._one_sided(self._attention("causal"), step=+1)

    @cached_property
    def anticausal(self) -> View:
        """Each token is shown what stands after it, and predicts the token before it."""
        return self._one_sided(self._attention("anticausal"), step=-1)

    def _attention(self, kind: AttentionKind) -> Attention:
        mask, documents = self.attention_mask, self.document_ids
        return Attention(mask, kind, document_ids=documents, extents=self.extents)

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
