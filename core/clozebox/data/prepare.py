"""Corpus -> tokenizer -> token store, each made once and kept in the cache under its content."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer
from tokenizers import __version__ as tokenizers_version

from clozebox.data.atomic_folder import atomic_folder, locked
from clozebox.data.corpus import Corpus, Document
from clozebox.data.token_store import (
    FORMAT,
    TOKENIZER,
    DamagedStore,
    TokenStore,
    write_manifest,
)
from clozebox.data.tokenizer import load_tokenizer, train_tokenizer, vocabulary_of
from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.components import CorpusConfig
    from clozebox.config.settings import TokenizerSettings

Say = Callable[[str], None]

_CHUNK = 1 << 21
"""Characters that are tokenised in one go: bounds the memory, keeps every core busy."""
_LONGEST_SENTENCE = 10_000
_LONGEST_WORD = 100
"""Characters. The trainer takes quadratic time in a word's length, and BERT's WordPiece reads no
longer word either."""
_SECONDS_BETWEEN_REPORTS = 5.0


def prepare(
    corpus: CorpusConfig,
    tokenizer: TokenizerSettings,
    cache: Path,
    say: Say = lambda message: None,
) -> TokenStore:
    """The token store of a corpus under a tokenizer, from the cache or made now.

    Two processes may ask at once: one builds, the other waits and reads. Raises UserError when the
    corpus holds no text or cannot be read.
    """
    text = corpus.build()
    corpus_fingerprint = text.fingerprint()
    tokenizer_file = _tokenizer_file(text, corpus_fingerprint, tokenizer, cache, say)
    fingerprint = _key("store", FORMAT, corpus_fingerprint, _sha256(tokenizer_file))
    target = cache / "stores" / fingerprint[:16]
    with locked(target):
        if target.exists():
            try:
                return TokenStore(target)
            except DamagedStore as damage:
                say(f"{damage}; building it again")
        with atomic_folder(target) as partial:
            say(f"tokenising {corpus.name} into {target}")
            writer = _Writer(partial, tokenizer_file, say)
            writer.write(text.documents())
            writer.close(fingerprint, corpus_fingerprint)
            if text.fingerprint() != corpus_fingerprint:
                raise UserError(f"the corpus {corpus.name} changed while it was read: try again")
    return TokenStore(target)


def _tokenizer_file(
    corpus: Corpus, corpus_fingerprint: str, settings: TokenizerSettings, cache: Path, say: Say
) -> Path:
    """``tokenizer.json``, trained or loaded once for every arm and seed that names it."""
    if settings.path is None:
        identity = _key("tokenizer", FORMAT, corpus_fingerprint, settings.model_dump_json())
    else:
        loaded = load_tokenizer(settings)
        identity = _key("tokenizer", FORMAT, loaded.to_str())
    target = cache / "tokenizers" / identity[:16]
    with locked(target):
        if not (target / TOKENIZER).exists():
            with atomic_folder(target) as partial:
                if settings.path is None:
                    say(f"training a {settings.kind} tokenizer of {settings.vocab_size} tokens")
                    loaded = train_tokenizer(settings, lambda: _texts(corpus))
                loaded.save(str(partial / TOKENIZER))
    return target / TOKENIZER


def _texts(corpus: Corpus) -> Iterator[str]:
    """The sentences of a corpus for a trainer, in batches of lines, overlong words cut."""
    count = 0
    for document in corpus.documents():
        for sentence in _bounded(document):
            count += 1
            words = sentence.split()
            if max(map(len, words)) > _LONGEST_WORD:
                sentence = " ".join(
                    word[i : i + _LONGEST_WORD]
                    for word in words
                    for i in range(0, len(word), _LONGEST_WORD)
                )
            yield sentence
    if not count:
        raise UserError("the corpus is empty: it has no sentence to learn from")


def _bounded(document: Document) -> Iterator[str]:
    """The sentences of a document, overlong ones cut; blank ones left out."""
    for sentence in document:
        for start in range(0, len(sentence), _LONGEST_SENTENCE):
            piece = sentence[start : start + _LONGEST_SENTENCE].strip()
            if piece:
                yield piece


class _Writer:
    """Tokenises documents into the files of a store, a bounded number of characters at a time."""

    def __init__(self, folder: Path, tokenizer_file: Path, say: Say) -> None:
        self._folder = folder
        self._say = say
        content = tokenizer_file.read_bytes()
        (folder / TOKENIZER).write_bytes(content)
        self._tokenizer = Tokenizer.from_buffer(content)
        # Text that spells [MASK] or [SEP] must not become the special token.
        self._tokenizer.encode_special_tokens = True
        self._vocabulary = vocabulary_of(self._tokenizer)
        self._dtype = "<u2" if self._vocabulary.size <= 1 << 16 else "<u4"
        self._tokens = (folder / "tokens.bin").open("wb")
        self._sentences = (folder / "sentence_offsets.bin").open("wb")
        self._documents = (folder / "document_offsets.bin").open("wb")
        self._num_tokens = self._num_sentences = self._num_documents = 0
        for file in (self._sentences, self._documents):
            file.write(np.zeros(1, dtype="<i8").tobytes())

    def write(self, documents: Iterable[Document]) -> None:
        """Appends every document, and says how far it has come."""
        characters, started = 0, time.monotonic()
        reported = started
        sentences: list[str] = []
        owners: list[int] = []  # the document each sentence belongs to
        pending = 0
        for number, document in enumerate(documents):
            for sentence in _bounded(document):
                sentences.append(sentence)
                owners.append(number)
                pending += len(sentence)
                if pending >= _CHUNK:
                    ...
