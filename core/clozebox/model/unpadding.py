"""Leaving padding out: sequences of about one length are computed together, cut to the longest.

B sequences, T tokens, D hidden size, S tokens that are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

GROUPS = 8
"""At most. More leave out more padding, and cut the products of attention smaller."""
WORTH_IT = 0.95
"""The share of the tokens that may be left for sorting and putting back to pay."""


@dataclass(frozen=True, eq=False)
class Group:
    """G sequences that are computed together: a rectangle among those laid end to end."""

    rows: Tensor  # (G,): which sequences
    width: int
    begin: int
    """Where it begins among the S tokens."""
    is_full: bool
    """Whether no sequence of it is shorter than ``width``."""

    @property
    def end(self) -> int:
        return self.begin + len(self.rows) * self.width

    def cut(self, laid_out: Tensor) -> Tensor:
        """(S, ...) -> (G, width, ...), without a copy."""
        return laid_out[self.begin : self.end].view(-1, self.width, *laid_out.shape[1:])


@dataclass(frozen=True, eq=False)
class LaidOut:
    """Which S of the B * T tokens are computed, and in what order."""

    place: Tensor  # (S,): into the B * T flattened ones, each once
    padded: tuple[int, int]
    """B and T."""

    def lay_out(self, padded: Tensor) -> Tensor:
        """(B, T, ...) -> (S, ...)."""
        return padded.flatten(0, 1).index_select(0, self.place)

    def put_back(self, laid_out: Tensor) -> Tensor:
        """(S, ...) -> (B, T, ...), and 0 where nothing was computed."""
        return scattered(laid_out, self.place, self.padded, 0.0)

    def rows_of(self, read: Tensor) -> Tensor:
        """Positions (R,) among the B * T -> where they stand among the S; any, if nowhere."""
        rows, width = self.padded
        row = self.place.new_zeros(rows * width)
        row[self.place] = torch.arange(len(self.place), device=self.place.device)
        return row[read]


def scattered(values: Tensor, place: Tensor, padded: tuple[int, int], fill: float) -> Tensor:
    """(S, ...) -> (B, T, ...): ``values`` at their ``place`` (S,), and ``fill`` elsewhere."""
    rows, width = padded
    flat = values.new_full((rows * width, *values.shape[1:]), fill)
    return flat.index_copy(0, place, values).view(rows, width, *values.shape[1:])


@dataclass(frozen=True, eq=False)
class Layout(LaidOut):
    """In groups of about one length: what pays on a CPU."""

    groups: tuple[Group, ...]

    @classmethod
    def of(cls, lengths: np.ndarray, width: int) -> Layout | None:
        """For sequences of ``lengths`` (B,) in rows of ``width``; None where it would not pay."""
        order = np.argsort(lengths, kind="stable")
        parts = [part for part in np.array_split(order, GROUPS) if len(part)]
        widths = [max(int(lengths[part[-1]]), 1) for part in parts]
        computed = sum(len(part) * most for part, most in zip(parts, widths, strict=True))
        if computed > WORTH_IT * len(lengths) * width:
            return None
        groups: list[Group] = []
        for part, most in zip(parts, widths, strict=True):
            is_full = int(lengths[part[0]]) == most
            begin = groups[-1].end if groups else 0
            groups.append(Group(torch.from_numpy(part), most, begin, is_full))
        places = [
            (part[:, None] * width + np.arange(most)).ravel()
            for part, most in zip(parts, widths, strict=True)
        ]
        place = torch.from_numpy(np.concatenate(places))
        return cls(place, (len(lengths), width), tuple(groups))
