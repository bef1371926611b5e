"""Your own files, read line by line: nothing larger than one document is held in memory."""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from clozebox.data import Corpus, Document, split_sentences
from clozebox.errors import UserError
from clozebox_corpora import TextConfig

_SUFFIXES = (".txt", ".jsonl", ".txt.gz", ".jsonl.gz")
_LONGEST_DOCUMENT = 1 << 23
"""Characters. A longer document becomes several, at a sentence border, so that a file of any size
is read in bounded memory."""


class Text(Corpus):
    def __init__(self, config: TextConfig) -> None:
        self._config = config
        self._files = _found(config.files)

    def documents(self) -> Iterator[Document]:
        for path in self._files:
            is_jsonl = path.name.removesuffix(".gz").endswith(".jsonl")
            texts = self._records(path) if is_jsonl else [_numbered_lines(path)]
            for lines in texts:
                yield from _documents((line for _, line in lines), self._config.layout)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self._config.settings()).encode())
        for path in self._files:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def _records(self, path: Path) -> Iterator[list[tuple[int, str]]]:
        """The lines of the text of every record, under the record's own line number."""
        key = self._config.text_key
        for number, line in _numbered_lines(path):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}:{number}: not JSON: {error}") from error
            text = record.get(key) if isinstance(record, dict) else None
            if not isinstance(text, str):
                raise UserError(f"{path}:{number}: no text under the key {key!r} (text_key)")
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise UserError(f"{path}:{number}: half of a surrogate pair is not text")
            yield [(number, part) for part in text.splitlines()]


def _documents(lines: Iterator[str], layout: str) -> Iterator[Document]:
    document: list[str] = []
    characters = 0
    for sentence in _LAYOUTS[layout](lines):
        if sentence is not None:
            document.append(sentence)
            characters += len(sentence)
        if document and (sentence is None or characters > _LONGEST_DOCUMENT):
            yield document
            document, characters = [], 0
    if document:
        yield document


def _by_line(lines: Iterator[str]) -> Iterator[str | None]:
    """One sentence a line; None at a blank line, which ends a document."""
    for line in lines:
        yield line.strip() or None


def _by_paragraph(lines: Iterator[str]) -> Iterator[str | None]:
    """The sentences of prose; None after each paragraph."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line)
            continue
        yield from split_sentences(" ".join(paragraph))
        yield None
        paragraph = []
    yield from split_sentences(" ".join(paragraph))


def _by_file(lines: Iterator[str]) -> Iterator[str | None]:
    """The sentences of prose; a document has no end but the file's."""
    return (sentence for sentence in _by_paragraph(lines) if sentence is not None)


_LAYOUTS = {"prose": _by_file, "paragraphs": _by_paragraph, "sentences": _by_line}


def _found(patterns: tuple[str, ...]) -> list[Path]:
    """The files that the patterns name, each once, sorted."""
    found: set[Path] = set()
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if path.is_dir():
            matches = [inner for inner in path.rglob("*") if inner.name.endswith(_SUFFIXES)]
        elif path.exists():
            matches = [path]
        else:
            matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        files = [match for match in matches if match.is_file()]
        if not files:
            raise UserError(
                f"corpus text: {pattern!r} names no file ({', '.join(_SUFFIXES)}; relative to "
                f"{Path.cwd()})"
            )
        for file in files:
            if not file.name.endswith(_SUFFIXES):
                raise UserError(f"corpus text: {file} is none of {', '.join(_SUFFIXES)}")
        found.update(files)
    return sorted(found)


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines from 1, without their ends (LF, CRLF or CR) and without a byte-order mark."""
    number, offset = 0, 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            for raw in file:
                for line in raw.decode("utf-8-sig" if offset == 0 else "utf-8").splitlines():
                    number += 1
                    yield number, line
                offset += len(raw)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}:{number + 1}: not UTF-8: byte 0x{error.object[error.start]:02x} at byte "
            f"{offset + error.start}; convert the file, for example with iconv"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
