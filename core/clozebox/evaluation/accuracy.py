"""A share of right answers, with what chance leaves open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

Z = 1.959963984540054
"""The standard normal's quantile of 97.5 %."""


class Accuracy(float):
    """A share of right answers that knows its 95 % interval; a plain number to everything else.

    The interval is that of the share among *all* questions of the kind, of which these are a
    sample. How far another seed of training would score apart from it is not in it.
    """

    low: float
    high: float

    def __new__(cls, share: float, low: float, high: float) -> Self:
        made = super().__new__(cls, share)
        made.low, made.high = low, high
        return made

    def __getnewargs__(self) -> tuple[float, float, float]:  # type: ignore[override]
        return float(self), self.low, self.high  # what a copy is made of

    @classmethod
    def of(cls, right: float, asked: int) -> Self:
        """``right`` of ``asked`` answers, with Wilson's interval (1927).

        ``right`` may count an undecided answer as one half; the interval is then a little wide,
        for halves scatter less than hits and misses do.
        """
        share, spread = right / asked, Z * Z / asked
        middle = (share + spread / 2) / (1 + spread)
        half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
        return cls(share, max(0.0, middle - half), min(1.0, middle + half))

    @classmethod
    def mean(cls, parts: Sequence[Accuracy]) -> Self:
        """The mean of independent shares, each counting the same, whatever number it is of.

        Its interval is made of theirs, side by side (Zou and Donner, 2008): it stays within 0
        and 1, and of one part it is the part's own.
        """
        share = math.fsum(parts) / len(parts)
        below = math.hypot(*(part - part.low for part in parts)) / len(parts)
        above = math.hypot(*(part.high - part for part in parts)) / len(parts)
        return cls(share, share - below, share + above)
