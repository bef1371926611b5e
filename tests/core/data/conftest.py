"""A corpus of given documents, and a store of it with sentences of known lengths."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clozebox import CorpusConfig
from clozebox.config.settings import TokenizerSettings
from clozebox.data import Corpus, Document, TokenStore, prepare
from clozebox.data.tokenizer import SPECIAL_TOKENS


class GivenCorpus(Corpus):
    def __init__(self, texts: tuple[tuple[str, ...], ...]) -> None:
        self._texts = texts

    def documents(self) -> Iterator[Document]:
        yield from self._texts

    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self._texts).encode()).hexdigest()


class GivenConfig(CorpusConfig):
    name: ClassVar[str] = "given"
    texts: tuple[tuple[str, ...], ...]

    def build(self) -> Corpus:
        return GivenCorpus(self.texts)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., TokenStore]:
    """``build([["A sentence.", ...], ...], vocab_size=99)``: the store of these documents."""

    def made(texts: list[list[str]], cache: Path = tmp_path, **settings: Any) -> TokenStore:
        corpus = GivenConfig(texts=tuple(map(tuple, texts)))
        return prepare(corpus, TokenizerSettings(**settings), cache)

    return made


@pytest.fixture
def store_of_lengths(tmp_path: Path) -> Callable[[list[list[int]]], TokenStore]:
    """``store_of_lengths([[3, 5], [2]])``: documents with sentences of so many tokens.

    Sentence n is a word of its own, again and again: its tokens are all ``n + FIRST_WORD``.
    """

    def made(lengths: list[list[int]]) -> TokenStore:
        numbers = itertools.count()
        texts = [[" ".join([f"w{next(numbers)}"] * n) for n in document] for document in lengths]
        words = [f"w{n}" for n in range(next(numbers))]
        vocab = tmp_path / "vocab.txt"
        vocab.write_text("\n".join([*SPECIAL_TOKENS, *words]) + "\n", encoding="utf-8")
        corpus = GivenConfig(texts=tuple(map(tuple, texts)))
        return prepare(corpus, TokenizerSettings(path=str(vocab)), tmp_path)

    return made
