"""Files of minimal pairs, with all that is wrong with them told at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from clozebox.errors import UserError, did_you_mean

_SUFFIXES = {"blimp": ".jsonl", "zorro": ".txt"}
_KEYS = ("sentence_good", "sentence_bad", "UID", "linguistics_term")
_LONGEST_LINE = 1 << 16
"""Bytes. What is longer is no sentence, and is not read into memory."""
_MOST_TOLD = 20


class Pair(NamedTuple):
    """Two sentences that differ in what makes one of them ungrammatical."""

    good: str
    bad: str
    where: str
    """``file:line``; of two lines, the first."""


class Paradigm(NamedTuple):
    """Pairs of one kind: a ``UID`` of BLiMP, a file of Zorro."""

    name: str
    phenomenon: str
    """What it is a case of: BLiMP's ``linguistics_term``, Zorro's first part of the file name."""
    pairs: Sequence[Pair]


def read_paradigms(path: Path, form: str, most: int | None) -> list[Paradigm]:
    """Every paradigm in a file, or in the files of a folder, in the order of the files.

    Of each at most ``most`` pairs, at even distances: neighbours are often alike.

    Raises:
        UserError: anything wrong with the files, all of it, with file and line.
    """
    problems: list[str] = []
    found: dict[tuple[str, str], list[Pair]] = {}
    for file in _files(path, _SUFFIXES[form]):
        before = len(problems)
        pairs = list((_blimp if form == "blimp" else _zorro)(file, problems))
        if not pairs and len(problems) == before:
            problems.append(f"{file}: no pairs in it")
        for phenomenon, name, pair in pairs:
            found.setdefault((phenomenon, name), []).append(pair)
    refuse(problems)
    return [
        Paradigm(name, phenomenon, _spread(pairs, most))
        for (phenomenon, name), pairs in found.items()
    ]


def refuse(problems: Sequence[str]) -> None:
    """Raise a UserError that lists the problems, if there are any; of very many, the first."""
    if not problems:
        return
    told = [*problems[:_MOST_TOLD]]
    if len(problems) > _MOST_TOLD:
        told.append(f"and {len(problems) - _MOST_TOLD} more")
    raise UserError("minimal pairs that cannot be used:\n  " + "\n  ".join(told))


def _files(path: Path, suffix: str) -> list[Path]:
    path = path.expanduser()
    if path.is_file() and path.suffix == suffix:
        return [path]
    if path.is_dir() and (found := sorted(path.glob(f"*{suffix}"))):
        return found
    if path.is_dir():
        what = f"the folder {path} holds no {suffix} file"
    elif path.is_file():
        what = f"{path} is no {suffix} file"
    else:
        what = f"there is no file or folder {path}, seen from {Path.cwd()}"
    kinds = ", ".join(f'format = "{form}" reads {one}' for form, one in _SUFFIXES.items())
    raise UserError(f"minimal_pairs.path: {what} ({kinds})")


Found = tuple[str, str, Pair]
"""Phenomenon, paradigm, pair."""


def _blimp(path: Path, problems: list[str]) -> Iterator[Found]:
    """One JSON object a line (Warstadt et al., 2020); keys that are not needed may be missing."""
    for number, line in _lines(path, problems):
        where = f"{path}:{number}"
        if line is None or not line:
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"{where}: not JSON: {error}")
            continue
        wrong = _wrong(record)
        if wrong:
            problems.append(f"{where}: {wrong}")
            continue
        good, bad, name, phenomenon = (record[key] for key in _KEYS)
        pair = Pair(good.strip(), bad.strip(), where)
        if not (wrong := _not_a_pair(pair)):
            yield _plain(phenomenon), _plain(name), pair
        else:
            problems.append(f"{where}: {wrong}")


def _zorro(path: Path, problems: list[str]) -> Iterator[Found]:
    """Odd lines are ungrammatical, even lines grammatical (Huebner et al., 2021; its README).

    A file is a paradigm, named ``phenomenon-paradigm.txt``.
    """
    phenomenon, hyphen, _ = path.stem.rpartition("-")
    if not hyphen:
        phenomenon = path.stem
    bad: str | None = None
    number = 0
    for number, line in _lines(path, problems):
        if line == "":
            problems.append(f"{path}:{number}: an empty line; each line is half of a pair")
        if number % 2:
            bad = line
            continue
        if not bad or not line:
            continue  # told already
        pair = Pair(line, bad, f"{path}:{number - 1}")
        if not (wrong := _not_a_pair(pair)):
            yield _plain(phenomenon), _plain(path.stem), pair
        else:
            problems.append(f"{pair.where}: {wrong}")
    if number % 2:
        problems.append(
            f"{path}:{number}: an odd number of lines; the last has no grammatical counterpart"
        )


def _lines(path: Path, problems: list[str]) -> Iterator[tuple[int, str | None]]:
    """Lines from 1, without blanks around them; None, and a problem, for one that is no text."""
    with path.open("rb") as file:
        for number in count(1):
            raw = file.readline(_LONGEST_LINE)
            if not raw:
                return
            if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
                while raw and not raw.endswith(b"\n"):
                    raw = file.readline(_LONGEST_LINE)
                problems.append(f"{path}:{number}: longer than {_LONGEST_LINE} bytes")
                yield number, None
                continue
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                problems.append(f"{path}:{number}: not UTF-8: byte 0x{raw[error.start]:02x}")
                yield number, None


def _wrong(record: object) -> str | None:
    """What keeps a line of JSON from being a pair."""
    if not isinstance(record, dict):
        return f"a JSON object is due, with {', '.join(_KEYS)}"
    for key in _KEYS:
        if key not in record:
            return f"no key {key!r}{did_you_mean(key, record)}"
        if not isinstance(record[key], str) or not record[key].strip():
            return f"{key} is {json.dumps(record[key])[:40]}; text is due"
        if any("\ud800" <= letter <= "\udfff" for letter in record[key]):
            return f"{key} holds half of a surrogate pair, which is not text"
    return None


def _not_a_pair(pair: Pair) -> str | None:
    return f"twice the same sentence: {pair.good[:60]!r}" if pair.good == pair.bad else None


def _plain(name: str) -> str:
    """A name that a metric can have."""
    return re.sub(r"\W+", "_", name).strip("_") or "unnamed"


def _spread(pairs: Sequence[Pair], most: int | None) -> Sequence[Pair]:
    if most is None or most >= len(pairs):
        return pairs
    return [pairs[i * len(pairs) // most] for i in range(most)]
