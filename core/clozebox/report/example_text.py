"""A shown example as lines of styled text; what prints them decides whether styles are colours."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import get_args

from clozebox.report.example import Fate, ShownExample, ShownObjective, ShownPass
from clozebox.report.gloss import gloss
from clozebox.report.numbers import count_text
from clozebox.report.styled import Line, Piece, plain, put_beside, width_of

SQUARES = 12
"""The attention picture has at most so many rows."""
KEY = 11
"""Columns that the name of a fact takes."""
LEGEND = (
    "In the picture of attention a row is a token and a column is what it may look at; a square is "
    "grey where only some of its tokens may. FLOPs are of the forward pass; training takes 3 times "
    "as many."
)
PAIRS = {
    "pair": ("the second part follows the first", "the second part is from another document"),
    "swapped_pair": ("the parts are in order", "the parts have changed places"),
}


def example_lines(example: ShownExample, width: int) -> Iterator[Line]:
    """What `clozebox show` prints below its title."""
    yield from _wrapped(
        f"Example {example.place} (sequence {example.row} of {example.rows} in step "
        f"{example.step}): {example.real} tokens and {example.length - example.real} of padding, "
        f"of a vocabulary of {example.vocabulary:,}.",
        width,
    )
    yield []
    for part, text in example.texts:
        yield from _fact(part if len(example.texts) > 1 else "text", text, width)
    if example.pair_label is not None:
        meaning = PAIRS[example.kind][example.pair_label]
        yield from _fact("pair label", f"{example.pair_label}: {meaning}", width)
    for phase in example.phases:
        if phase.title:
            yield from ([], [Piece(phase.title, "strong")])
        for one in phase.passes:
            yield []
            yield from _pass_lines(one, width)
    yield []
    yield from _wrapped(LEGEND, width)


def _pass_lines(one: ShownPass, width: int) -> Iterator[Line]:
    names = " + ".join(objective.name for objective in one.objectives)
    cost = f"one encoder pass, {count_text(one.encoder_flops)} FLOPs"
    rule = "─" * max(3, width - width_of(names) - width_of(cost) - 2)
    yield [Piece(names, "strong"), Piece(f" {rule} {cost}", "faint")]
    yield []
    yield from gloss(one.tokens, width)
    picture = [plain(row) for row in _picture(one.pattern)]
    beside = width - 2 * SQUARES - 3
    facts = list(_facts(one, beside if beside >= 40 else width))
    yield from put_beside(facts, picture, beside) if beside >= 40 else [*facts, *picture]
    yield []
    yield from _terms(one.objectives)


def _facts(one: ShownPass, width: int) -> Iterator[Line]:
    yield from _fact("predicted", _predicted(one), width)
    fates = [token.fate for token in one.tokens]
    told = ", ".join(f"{fates.count(fate)} {fate}" for fate in get_args(Fate) if fate in fates)
    if one.masking is not None:
        yield from _fact("masking", f"{one.masking}: {told or 'nothing chosen'}", width)
    elif told:
        yield from _fact("changed", told, width)
    each = _to_a_square(one.pattern)
    size = f", {each} x {each} tokens a square" if each > 1 else ""
    yield from _fact("attention", f"{one.attention}{size}", width)
    for objective in one.objectives:
        if objective.pair_label is not None:
            yield from _fact(
                "pair", f"{objective.name} predicts label {objective.pair_label}", width
            )
        if objective.share is not None:
            yield from _fact("share", _share(objective), width)


def _predicted(one: ShownPass) -> str:
    count = sum(token.label is not None for token in one.tokens)
    if not count:
        return "nothing at single positions"
    if one.predicts == "classes":
        return f"the class of {count} positions"
    if one.offset is None:
        return f"{count} tokens"
    if one.offset == 0:
        return f"{count} tokens, each at its own position"
    far = "" if abs(one.offset) == 1 else f"{abs(one.offset)} "
    side = "after" if one.offset > 0 else "before"
    return (
        f"{count} tokens, each by the position {far}{'before' if side == 'after' else 'after'} it"
    )


def _share(objective: ShownObjective) -> str:
    told = f"{objective.name} learns from {objective.share:.3g} of the sequences"
    return f"{told}, this one among them" if objective.learns else f"{told}, but not from this one"


def _terms(objectives: Sequence[ShownObjective]) -> Iterator[Line]:
    besides = any(term.flops_besides for one in objectives for term in one.terms)
    rows = [["term", "targets", "classes", "weight", "FLOPs a target", "FLOPs besides"]]
    rows += [
        [
            term.name,
            f"{term.targets:,}",
            f"{term.classes:,}",
            f"{one.weight * (one.share or 1):.3g}",
            count_text(term.flops_each),
            count_text(term.flops_besides),
        ]
        for one in objectives
        for term in one.terms
    ]
    rows = [row if besides else row[:-1] for row in rows]
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    for number, (name, *numbers) in enumerate(rows):
        cells = [cell.rjust(wide) for cell, wide in zip(numbers, widths[1:], strict=True)]
        text = "  ".join([name.ljust(widths[0]), *cells])
        yield [Piece(text, "plain" if number else "faint")]


def _picture(pattern: Sequence[Sequence[bool]]) -> list[str]:
    """Full where every token of the square may look, grey where some may, dots where none may."""
    each = _to_a_square(pattern)
    starts = range(0, len(pattern), each)
    return ["".join(_square(pattern, row, column, each) for column in starts) for row in starts]


def _square(pattern: Sequence[Sequence[bool]], row: int, column: int, each: int) -> str:
    seen = [looks for line in pattern[row : row + each] for looks in line[column : column + each]]
    return "██" if all(seen) else "▒▒" if any(seen) else "··"


def _to_a_square(pattern: Sequence[Sequence[bool]]) -> int:
    return -(-len(pattern) // SQUARES)


def _fact(name: str, text: str, width: int) -> Iterator[Line]:
    key = name
    for part in textwrap.wrap(text, max(20, width - KEY)) or ["-"]:
        yield [Piece(key, "faint"), Piece(" " * (KEY - len(key)) + part)]
        key = ""


def _wrapped(text: str, width: int) -> Iterator[Line]:
    for part in textwrap.wrap(text, width):
        yield plain(part)
