"""A corpus of given documents, and a store of it with sentences of known lengths."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clozebox import CorpusConfig
from clozebox.config.settings import TokenizerSettings
from clozebox.data import Corpus, Document, TokenStore, prepare

WORDS = ("tea", "milk", "bread", "salt", "honey", "plum", "rice")


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

    No two sentences of a store are the same tokens in the same order, as far as they go.
    """

    def made(lengths: list[list[int]]) -> TokenStore:
        number = 0
        texts = []
        for document in lengths:
            sentences = []
            for length in document:
                words = [WORDS[(number + number * i) % len(WORDS)] for i in range(length)]
                sentences.append(" ".join(words))
                number += 1
            texts.append(tuple(sentences))
        # Each word is one token: two sentences of every word let the trainer merge them all.
        texts += [(" ".join(WORDS),)] * 2
        return prepare(GivenConfig(texts=tuple(texts)), TokenizerSettings(vocab_size=99), tmp_path)

    return made
