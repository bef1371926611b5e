"""The .txt files of a folder: each is a document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from clozebox import CorpusConfig, hookimpl
from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.data import Corpus, Document


class SkeletonCorpusConfig(CorpusConfig):
    """What ``[corpus]`` may say."""

    name: ClassVar[str] = "skeleton"
    folder: str
    """Where the files are, relative to the working directory."""

    def build(self) -> Corpus:
        # Here, so that listing plugins costs no numpy.
        from clozebox.data import Corpus, split_sentences

        class SkeletonCorpus(Corpus):
            def __init__(self, folder: str) -> None:
                self.files = sorted(Path(folder).glob("*.txt"))
                if not self.files:
                    raise UserError(f"corpus.folder: there is no .txt file in {folder}")

            def documents(self) -> Iterator[Document]:
                """The sentences of each file. Your idea goes here; it is read more than once."""
                for file in self.files:
                    paragraphs = self.read(file).split("\n\n")
                    document = [line for part in paragraphs for line in split_sentences(part)]
                    if document:
                        yield document

            def fingerprint(self) -> str:
                """A hash of the text: another one makes another tokenizer and token store."""
                digest = hashlib.sha256()
                for file in self.files:
                    digest.update(hashlib.sha256(self.read(file).encode()).digest())
                return digest.hexdigest()

            def read(self, file: Path) -> str:
                try:
                    return file.read_text(encoding="utf-8")
                except ValueError as error:
                    raise UserError(f"{file} is not UTF-8: {error}") from error

        return SkeletonCorpus(self.folder)


@hookimpl
def register_corpora() -> list[type[CorpusConfig]]:
    return [SkeletonCorpusConfig]
