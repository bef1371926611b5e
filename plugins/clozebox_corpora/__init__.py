"""Corpora: presidents' messages, Python's own documentation, and your own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from clozebox import CorpusConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.data import Corpus


class SotuConfig(CorpusConfig):
    """Messages of the US presidents to Congress, 1790 to today (needs the package ``sotu``)."""

    name: ClassVar[str] = "sotu"

    since: int = 1790
    """The first year taken."""
    until: int = 9999
    """The last year taken."""
    delivery: Literal["any", "spoken", "written"] = "any"

    def build(self) -> Corpus:
        from clozebox_corpora.sotu import Sotu

        return Sotu(self)


class PythonDocsConfig(CorpusConfig):
    """The documentation inside this Python: language topics and docstrings; no download."""

    name: ClassVar[str] = "python_docs"

    docstrings: bool = True
    """Whether the standard library's docstrings are added to the language topics."""

    def build(self) -> Corpus:
        from clozebox_corpora.python_docs import PythonDocs

        return PythonDocs(self)


class TextConfig(CorpusConfig):
    """Your own files: ``.txt`` or ``.jsonl``, each also as ``.gz``, in UTF-8."""

    name: ClassVar[str] = "text"

    files: tuple[str, ...] = Field(min_length=1, strict=False)
    """Files, folders and glob patterns, relative to the working directory."""
    layout: Literal["prose", "paragraphs", "sentences"] = "prose"
    """``prose``: a file is a document. ``paragraphs``: a blank line ends one. ``sentences``: so it
    does, and every line is one sentence, as BERT reads its data."""
    text_key: str = "text"
    """Where the text stands in a line of ``.jsonl``, each of which is a document."""

    def build(self) -> Corpus:
        from clozebox_corpora.text import Text

        return Text(self)


@hookimpl
def register_corpora() -> list[type[CorpusConfig]]:
    return [SotuConfig, PythonDocsConfig, TextConfig]
