"""The text of the language, word by word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property

from clozebox.data import Corpus, Document
from clozebox_synthetic import HmmConfig
from clozebox_synthetic.language import Indices, Language, words_of


class Hmm(Corpus):
    def __init__(self, config: HmmConfig) -> None:
        self._config = config
        self._words = words_of(config)

    def documents(self) -> Iterator[Document]:
        for document in self._texts:
            yield [" ".join(self._words[word] for word in sentence) for sentence in document]

    @cached_property
    def _texts(self) -> Indices:
        return Language.of(self._config).texts(self._config.seed, self._config.documents)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self._words).encode())
        digest.update(self._texts.astype("<i8").tobytes())
        return digest.hexdigest()
