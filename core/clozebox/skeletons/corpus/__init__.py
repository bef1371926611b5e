"""The .txt files of a folder: each is a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clozebox import CorpusConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.data import Corpus


class SkeletonCorpusConfig(CorpusConfig):
    """What ``[corpus]`` may say."""

    name: ClassVar[str] = "skeleton"
    folder: str
    """Where the files are, relative to the working directory."""

    def build(self) -> Corpus:
        # Here, so that listing plugins costs no numpy.
        from .corpus import SkeletonCorpus

        return SkeletonCorpus(self.folder)


@hookimpl
def register_corpora() -> list[type[CorpusConfig]]:
    return [SkeletonCorpusConfig]
