"""A text file line by line, in bounded memory, with what is wrong with it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from clozebox.evaluation.finetuning.faults import Faults

LONGEST_LINE = 1 << 20
"""Bytes. A longer one is no example, but a file of another format."""


def lines_of(path: Path, faults: Faults) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file, line ends kept, with their numbers from 1."""
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(raw) > LONGEST_LINE:
                    faults.add(path, number, f"a line of more than {LONGEST_LINE:,} bytes")
                    while raw and not raw.endswith(b"\n"):
                        raw = file.readline(LONGEST_LINE + 1)
                    continue
                if number == 1:
                    raw = raw.removeprefix(codecs.BOM_UTF8)
                text = decoded(raw, path, number, faults)
                if text is not None:
                    yield number, text
    except OSError as error:
        faults.add(path, None, f"cannot be read: {error.strerror or error}")


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: JSON can spell half of a surrogate pair."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def decoded(raw: bytes, path: Path, number: int, faults: Faults) -> str | None:
    """Bytes that begin on line ``number`` as text; None, and a fault, when they are none."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = number + before.count(b"\n")
        place = error.start - (before.rfind(b"\n") + 1) + 1
        found = f"byte {raw[error.start]:#04x} at place {place} of the line is not UTF-8"
        faults.add(path, line, f"{found}: save the file as UTF-8")
        return None
    if "\0" in text:
        line = number + text[: text.index("\0")].count("\n")
        faults.add(path, line, "holds a NUL: it is no text, or UTF-16: save the file as UTF-8")
        return None
    return text
