"""Tokens in aligned rows: what is shown, what became of it, what it was, what is predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from clozebox.report.example import ShownToken
from clozebox.report.styled import Line, Piece, cut, width_of

ROWS = ("shown", "fate", "text", "predict")
MARGIN = 14
"""Columns for the position and the name of a row."""


@dataclass(frozen=True)
class Cell:
    """One position, or a run of padding."""

    position: int
    part: str
    rows: dict[str, Piece]

    @property
    def width(self) -> int:
        return max(width_of(piece.text) for piece in self.rows.values())


def gloss(tokens: Sequence[ShownToken], width: int) -> Iterator[Line]:
    """Blocks of rows at most ``width`` columns wide; a new part of the example begins a new one."""
    cells = list(_cells(tokens, room=width - MARGIN))
    parts = [part for part, _ in groupby(cells, key=lambda cell: cell.part)]
    for part, members in groupby(cells, key=lambda cell: cell.part):
        if len(parts) > 1:
            yield [Piece(" " * 6 + part, "faint")]
        for block in _blocks(list(members), width - MARGIN):
            yield from _block_lines(block)
            yield []


def _cells(tokens: Sequence[ShownToken], room: int) -> Iterator[Cell]:
    part, position = "", 0
    for is_idle, run in groupby(tokens, key=_is_idle_padding):
        members = list(run)
        if is_idle:
            text = f"{members[0].shown} x {len(members)}"
            yield Cell(position, part or members[0].part, {"shown": Piece(text, "faint")})
            position += len(members)
            continue
        for token in members:
            part = token.part
            yield Cell(position, part, _rows(token, room))
            position += 1


def _is_idle_padding(token: ShownToken) -> bool:
    """Padding at which nothing happens: the only positions that are not shown one by one."""
    return token.padding and token.label is None and token.shown == token.text


def _rows(token: ShownToken, room: int) -> dict[str, Piece]:
    style = "faint" if token.special else token.fate or "plain"
    rows = {"shown": Piece(cut(token.shown, room), style)}
    if token.fate is not None:
        rows["fate"] = Piece(token.fate, token.fate)
    if token.shown != token.text and token.label != token.text:
        rows["text"] = Piece(cut(token.text, room))
    if token.label is not None:
        rows["predict"] = Piece(cut(token.label, room), "label")
    return rows


def _blocks(cells: Sequence[Cell], room: int) -> Iterator[list[Cell]]:
    block: list[Cell] = []
    used = 0
    for cell in cells:
        if block and used + 1 + cell.width > room:
            yield block
            block, used = [], 0
        used += cell.width + (1 if block else 0)
        block.append(cell)
    if block:
        yield block


def _block_lines(block: Sequence[Cell]) -> Iterator[Line]:
    for name in ROWS:
        if not any(name in cell.rows for cell in block):
            continue
        place = str(block[0].position) if name == "shown" else ""
        line = [Piece(f"{place:>4}  {name:<8}", "faint")]
        gap = ""
        for cell in block:
            piece = cell.rows.get(name, Piece(""))
            if piece.text:
                line += [Piece(gap), piece]
                gap = ""
            gap += " " * (cell.width - width_of(piece.text) + 1)
        yield line
