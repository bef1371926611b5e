"""Corpus -> tokenizer -> token store, each made once and kept in the cache under its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clozebox.data.atomic_folder import atomic_folder, locked
from clozebox.data.corpus import Corpus
from clozebox.data.store_writer import Say, write_store
from clozebox.data.token_store import FORMAT, TOKENIZER, DamagedStoreError, TokenStore
from clozebox.data.tokenizer import load_tokenizer, train_tokenizer
from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.components import CorpusConfig
    from clozebox.config.settings import TokenizerSettings

_LONGEST_SENTENCE = 10_000
_LONGEST_WORD = 100
"""Characters. The trainer takes quadratic time in a word's length, and BERT's WordPiece reads no
longer word either."""


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
    content = text.fingerprint()
    # The settings too: a fingerprint that forgets one would hand out another text's tokens.
    corpus_fingerprint = _key("corpus", corpus.name, corpus.settings(), content)
    tokenizer_file = _tokenizer_file(text, corpus_fingerprint, tokenizer, cache, say)
    tokenizer_hash = hashlib.sha256(tokenizer_file.read_bytes()).hexdigest()
    fingerprint = _key("store", FORMAT, corpus_fingerprint, tokenizer_hash)
    target = cache / "stores" / fingerprint[:16]
    with locked(target):
        if target.exists():
            try:
                return TokenStore(target)
            except DamagedStoreError as damage:
                say(f"{damage}; building it again")
        with atomic_folder(target) as partial:
            say(f"tokenising {corpus.name} into {target}")
            write_store(partial, tokenizer_file, _bounded_documents(text), fingerprint, say)
            if text.fingerprint() != content:
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
                    loaded = train_tokenizer(settings, lambda: _training_texts(corpus))
                loaded.save(str(partial / TOKENIZER))
    return target / TOKENIZER


def _training_texts(corpus: Corpus) -> Iterator[str]:
    """The sentences of a corpus, overlong words cut."""
    for document in _bounded_documents(corpus):
        for sentence in document:
            words = sentence.split()
            if max(map(len, words)) <= _LONGEST_WORD:
                yield sentence
            else:
                yield " ".join(piece for word in words for piece in _cut(word, _LONGEST_WORD))


def _bounded_documents(corpus: Corpus) -> Iterator[list[str]]:
    """The documents of a corpus without blank sentences, overlong sentences cut."""
    empty = True
    for number, document in enumerate(corpus.documents()):
        _require_sentences(document, number)
        pieces = [piece for sentence in document for piece in _cut(sentence, _LONGEST_SENTENCE)]
        kept = [piece for piece in pieces if not piece.isspace()]
        if kept:
            yield kept
            empty = False
    if empty:
        raise UserError("the corpus is empty: it has no sentence to learn from")


def _require_sentences(document: Any, number: int) -> None:
    """A string would be taken for a list of letters, and read to the end without a word."""
    listed = isinstance(document, Sequence) and not isinstance(document, str | bytes)
    if not listed or not all(isinstance(sentence, str) for sentence in document):
        shown = repr(document)[:60]
        raise UserError(f"the corpus's document {number} is no list of sentences: {shown}")


def _cut(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)]


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
