"""Writes a token store: documents in, files out, in bounded memory and on every core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers import __version__ as tokenizers_version

from clozebox.data.corpus import Document
from clozebox.data.token_store import ARRAYS, TOKENIZER, write_manifest
from clozebox.data.tokenizer import vocabulary_of
from clozebox.errors import UserError

Say = Callable[[str], None]

_CHUNK = 1 << 20
"""Characters tokenised in one call: bounds the memory, keeps every core busy."""
_SECONDS_BETWEEN_REPORTS = 5.0


@dataclass(frozen=True)
class _Chunk:
    sentences: list[str]
    documents: list[int]  # which document each sentence is of


@dataclass(frozen=True)
class _Encoded:
    tokens: NDArray[Any]
    lengths: NDArray[np.int64]  # of every sentence that has a token
    documents: NDArray[np.int64]
    characters: int


def write_store(
    folder: Path,
    tokenizer_file: Path,
    documents: Iterable[Document],
    fingerprint: str,
    say: Say,
) -> None:
    """Tokenises ``documents`` into the files of a store in ``folder``.

    Raises UserError when no document yields a token.
    """
    content = tokenizer_file.read_bytes()
    (folder / TOKENIZER).write_bytes(content)
    tokenizer = Tokenizer.from_buffer(content)
    # Text that spells [MASK] or [SEP] must not become the special token.
    tokenizer.encode_special_tokens = True
    vocabulary = vocabulary_of(tokenizer)
    token_dtype = "<u2" if vocabulary.size <= 1 << 16 else "<u4"

    with ExitStack() as files:
        writer = _Writer(*(files.enter_context((folder / f"{n}.bin").open("wb")) for n in ARRAYS))
        started = reported = time.monotonic()
        for encoded in _encoded(tokenizer, documents, token_dtype):
            writer.append(encoded)
            now = time.monotonic()
            if now - reported > _SECONDS_BETWEEN_REPORTS:
                say(f"{writer.progress} ({writer.characters / (now - started) / 1e6:.1f} M/s)")
                reported = now
        writer.close()
    if not writer.num_tokens:
        raise UserError("the corpus is empty: none of its sentences has a token")
    dtypes = {"tokens": token_dtype, "sentence_offsets": "<i8", "document_offsets": "<i8"}
    write_manifest(folder, fingerprint, vocabulary, dtypes, {"tokenizers": tokenizers_version})


class _Writer:
    def __init__(self, tokens: Any, sentences: Any, documents: Any) -> None:
        self._tokens, self._sentences, self._documents = tokens, sentences, documents
        self._sentences.write(np.zeros(1, "<i8"))
        self._last_document = -1
        self.num_tokens = self.num_sentences = self.num_documents = self.characters = 0

    @property
    def progress(self) -> str:
        return (
            f"{self.num_documents:,} documents, {self.num_tokens:,} tokens, "
            f"{self.characters / 1e6:,.1f} M characters"
        )

    def append(self, encoded: _Encoded) -> None:
        ends = self.num_tokens + np.cumsum(encoded.lengths)
        begins = np.flatnonzero(np.diff(encoded.documents, prepend=self._last_document))
        self._tokens.write(encoded.tokens)
        self._sentences.write(ends.astype("<i8"))
        self._documents.write((self.num_sentences + begins).astype("<i8"))
        self.num_tokens += len(encoded.tokens)
        self.num_sentences += len(ends)
        self.num_documents += len(begins)
        self.characters += encoded.characters
        if len(encoded.documents):
            self._last_document = int(encoded.documents[-1])

    def close(self) -> None:
        self._documents.write(np.array([self.num_sentences], "<i8"))


def _encoded(tokenizer: Tokenizer, documents: Iterable[Document], dtype: str) -> Iterator[_Encoded]:
    """Reads the next chunk while the last one is being tokenised."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead: Future[_Encoded] | None = None
        for chunk in _chunks(documents):
            submitted = pool.submit(_encode, tokenizer, chunk, dtype)
            if ahead is not None:
                yield ahead.result()
            ahead = submitted
        if ahead is not None:
            yield ahead.result()


def _chunks(documents: Iterable[Document]) -> Iterator[_Chunk]:
    chunk, characters = _Chunk([], []), 0
    for number, document in enumerate(documents):
        for sentence in document:
            chunk.sentences.append(sentence)
            chunk.documents.append(number)
            characters += len(sentence)
            if characters >= _CHUNK:
                yield chunk
                chunk, characters = _Chunk([], []), 0
    yield chunk


def _encode(tokenizer: Tokenizer, chunk: _Chunk, dtype: str) -> _Encoded:
    encodings = tokenizer.encode_batch_fast(chunk.sentences, add_special_tokens=False)
    ids = [encoding.ids for encoding in encodings]
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    return _Encoded(
        tokens=np.fromiter(chain.from_iterable(ids), dtype, int(lengths.sum())),
        lengths=lengths[lengths > 0],
        documents=np.array(chunk.documents, np.int64)[lengths > 0],
        characters=sum(map(len, chunk.sentences)),
    )
