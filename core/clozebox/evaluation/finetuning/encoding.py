"""Examples as a model reads them: framed, cut, padded to the longest of a batch.

B sequences, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from clozebox.data import TokenStore
from clozebox.errors import UserError
from clozebox.pretraining import IGNORE_INDEX

Ids = list[int]


@dataclass(frozen=True, eq=False)
class Feature:
    """One sequence; an example may need several."""

    input_ids: Ids
    token_type_ids: Ids
    is_cut: bool
    """Whether the model is not shown all of it."""
    target: NDArray[np.int64] | NDArray[np.float32]
    """What the loss compares with; along the tokens, IGNORE_INDEX where nothing is predicted."""
    example: int
    """Which one of its split it is of."""


class Framed(NamedTuple):
    """The first fields of a feature."""

    input_ids: Ids
    token_type_ids: Ids
    is_cut: bool


class Inputs(NamedTuple):
    """A batch of features, padded on the right."""

    input_ids: Tensor  # (B, T)
    token_type_ids: Tensor  # (B, T)
    attention_mask: Tensor  # (B, T), True where there is a token
    targets: Tensor  # (B,), (B, 2) or (B, T)


class Tokens:
    """A run's own tokenizer, and how long a sequence may be with it."""

    def __init__(self, store: TokenStore, seq_length: int) -> None:
        self.vocabulary = store.vocabulary
        self.seq_length = seq_length
        self.tokenizer: Tokenizer = store.tokenizer()
        # A text that spells [SEP] must not become the special token.
        self.tokenizer.encode_special_tokens = True

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Texts -> ids, without special tokens."""
        found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def framed(self, first: Ids, second: Ids | None = None) -> Framed:
        """[CLS] first [SEP] second [SEP], cut to length."""
        cls, sep = self.vocabulary.cls_id, self.vocabulary.sep_id
        if second is None:
            room = self.seq_length - 2
            ids = [cls, *first[:room], sep]
            return Framed(ids, [0] * len(ids), len(first) > room)
        room = self.seq_length - 3
        is_cut = len(first) + len(second) > room
        first, second = cut_longest_first(first, second, room)
        left, right = [cls, *first, sep], [*second, sep]
        return Framed(left + right, [0] * len(left) + [1] * len(right), is_cut)

    def collate(self, features: Sequence[Feature], device: torch.device) -> Inputs:
        """Features -> a batch on the device."""
        ids = _padded([one.input_ids for one in features], self.vocabulary.pad_id)  # (B, T)
        segments = _padded([one.token_type_ids for one in features], 0)  # (B, T)
        lengths = np.array([len(one.input_ids) for one in features])
        real = np.arange(ids.shape[1]) < lengths[:, None]  # (B, T)
        targets = [one.target for one in features]
        whole = np.stack(targets) if targets[0].ndim == 0 else _padded(targets, IGNORE_INDEX)
        arrays = (ids, segments, real, whole)
        return Inputs(*(torch.from_numpy(array).to(device, non_blocking=True) for array in arrays))


def cut_longest_first(first: Ids, second: Ids, room: int) -> tuple[Ids, Ids]:
    """Take from the end of the longer one until both fit; as Hugging Face's tokenizers cut."""
    if len(first) + len(second) <= room:
        return first, second
    if len(first) > len(second):
        kept = min(len(second), room // 2)
        return first[: room - kept], second[:kept]
    kept = min(len(first), room // 2)
    return first[:kept], second[: room - kept]


def sequence_length(asked: int | None, trained: int, positions: int) -> int:
    """Tokens of a sequence: what the task asks for, or what the run was trained on.

    Raises:
        UserError: the model has not as many positions.
    """
    if asked is not None and asked > positions:
        raise UserError(
            f"finetuning.seq_length is {asked}, and the run's model has {positions} positions"
        )
    return min(trained, positions) if asked is None else asked


def _padded(rows: Sequence[Any], fill: int) -> NDArray[np.int64]:
    """Rows of whole numbers, of any lengths -> (B, T)."""
    whole = np.full((len(rows), max(map(len, rows))), fill, dtype=np.int64)
    for row, values in zip(whole, rows, strict=True):
        row[: len(values)] = values
    return whole
