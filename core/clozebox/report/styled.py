"""Text with styles, measured in the columns that a terminal gives it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

Style = Literal["plain", "strong", "faint", "masked", "random", "replaced", "kept", "label"]


class Piece(NamedTuple):
    """Text in one style."""

    text: str
    style: Style = "plain"


Line = list[Piece]


def plain(text: str) -> Line:
    return [Piece(text)]


def width_of(text: str) -> int:
    """Columns: two for a wide letter (Chinese, Japanese), none for a mark on the one before."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if _is_wide(letter) else 1 for letter in text
    )


def cut(text: str, width: int) -> str:
    """At most ``width`` columns, with an ellipsis where something is missing."""
    if width_of(text) <= width:
        return text
    while width_of(text) > width - 1:
        text = text[:-1]
    return text + "…"


def put_beside(left: Sequence[Line], right: Sequence[Line], column: int) -> Iterator[Line]:
    """Two blocks of lines, the right one beginning after ``column`` columns and a gap."""
    for one, other in zip_longest(left, right, fillvalue=list[Piece]()):
        gap = column - sum(width_of(piece.text) for piece in one)
        yield [*one, Piece(" " * (gap + 3)), *other] if other else one


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"
