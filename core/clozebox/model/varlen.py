"""Leaving padding out on a GPU: real tokens end to end, and a kernel told where sequences begin.

A device cannot be asked how many tokens are real without waiting for it, so the host must know.
B sequences, T tokens, N heads, H numbers in each, S tokens that are computed, Q sequences or
documents that are laid end to end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from clozebox.model.kernels import exact_backward
from clozebox.model.transfer import to_device
from clozebox.model.unpadding import LaidOut

if TYPE_CHECKING:
    from clozebox.model.attention import AttentionKind

BUCKETS = 16
"""S is one of so many sizes: few shapes for a compiler and for the allocator, and on average a
thirty-second of the tokens computed for nothing."""
MULTIPLE = 64
"""Q is a multiple of it, for the same reason; those in excess have no tokens."""
WINDOWS: dict[AttentionKind, tuple[int, int]] = {
    "bidirectional": (-1, -1),
    "causal": (-1, 0),
    "anticausal": (0, -1),
}
"""How far each position looks to the left and to the right; -1 is all the way."""


@dataclass(frozen=True, eq=False)
class Extents:
    """Where the sequences of an ``attention_mask`` end, and documents begin, known on the host."""

    attention_mask: Tensor  # (B, T): nothing is said of any other
    lengths: np.ndarray  # (B,): real tokens, all on the left
    document_ids: np.ndarray | None = None  # (B, T), where rows pack several documents

    def part(self, rows: slice | np.ndarray, attention_mask: Tensor) -> Extents:
        """Those of some of the sequences, whose mask is ``attention_mask``."""
        documents = None if self.document_ids is None else self.document_ids[rows]
        return Extents(attention_mask, self.lengths[rows], documents)

    @property
    def are_full(self) -> bool:
        """Whether there is no padding."""
        return bool((self.lengths == self.attention_mask.shape[1]).all())


@dataclass(frozen=True, eq=False)
class Packing(LaidOut):
    """Which S of the B * T tokens are computed: the real ones in order, then padding to fill up."""

    begins: Tensor  # (Q + 1,) int32: where each begins among the S tokens, and S

    @classmethod
    def of(cls, extents: Extents, device: torch.device) -> Packing:
        """Of static shapes, but for the bucket that S falls into."""
        rows, width = extents.attention_mask.shape
        real = (np.arange(width) < extents.lengths[:, None]).ravel()  # (B*T,)
        kept = np.flatnonzero(real)
        size = bucket(len(kept), rows * width)
        filling = np.flatnonzero(~real)[: size - len(kept)]
        begins = [_begins(kept, width, extents.document_ids), np.arange(len(kept), size, width)]
        place = np.concatenate([kept, filling])  # (S,): each once, so that it can be put back
        return cls(
            place=to_device(torch.from_numpy(place), device),
            padded=(rows, width),
            begins=to_device(torch.from_numpy(_filled_up(np.concatenate(begins), size)), device),
        )


def bucket(tokens: int, most: int) -> int:
    """``tokens``, rounded up to one of ``BUCKETS`` sizes up to ``most``."""
    step = -(-most // BUCKETS)
    return min(max(-(-tokens // step), 1) * step, most)


def _begins(kept: np.ndarray, width: int, document_ids: np.ndarray | None) -> np.ndarray:
    """Where, among the tokens that are ``kept``, a sequence or a document begins."""
    row = kept // width
    changes = np.ones(len(kept), dtype=np.bool_)
    changes[1:] = row[1:] != row[:-1]
    if document_ids is not None:
        document = document_ids.ravel()[kept]
        changes[1:] |= document[1:] != document[:-1]
    return np.flatnonzero(changes)


def _filled_up(begins: np.ndarray, size: int) -> np.ndarray:
    """(Q + 1,) int32, the last ones at the end."""
    filled = np.full(-(-len(begins) // MULTIPLE) * MULTIPLE + 1, size, dtype=np.int32)
    filled[: len(begins)] = begins
    return filled


@dataclass(frozen=True)
class VariableLength:
    """A kernel for sequences of any length laid end to end, and the types that it takes.

    It is called as ``torch.nn.attention.varlen.varlen_attn`` is.
    """

    kernel: Callable[..., Tensor]
    dtypes: tuple[torch.dtype, ...]

    def takes(self, tensor: Tensor) -> bool:
        """Whether what a linear layer makes of it is of a type that the kernel takes."""
        kind = tensor.device.type
        autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        return (torch.get_autocast_dtype(kind) if autocast else tensor.dtype) in self.dtypes

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, packing: Packing, kind: AttentionKind
    ) -> Tensor:
        """query, key, value (S, N, H) -> (S, N, H); each looks at its own sequence or document."""
        begins, longest = packing.begins, packing.padded[1]
        window = WINDOWS[kind]
        return self.kernel(query, key, value, begins, begins, longest, longest, window_size=window)


def _flash(query: Tensor, key: Tensor, value: Tensor, *rest: object, **options: object) -> Tensor:
    # Imported here: there is no such kernel for a CPU, and it brings torch's compiler with it.
    from torch.nn.attention.varlen import varlen_attn

    mixed = varlen_attn(query, key, value, *rest, **options)  # type: ignore[arg-type]
    assert isinstance(mixed, Tensor)  # nothing else was asked for
    exact_backward(query, mixed)
    return mixed


FLASH = VariableLength(_flash, (torch.bfloat16, torch.float16))
