"""A tokenised corpus on disk: memory-mapped tokens, with the borders of sentences and documents."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from clozebox.data.streams import uniform
from clozebox.data.vocabulary import Vocabulary
from clozebox.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = NDArray[np.int64]

FORMAT = 1
"""Raise it when a corpus would be cut or stored differently: old stores are then left alone."""
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
ARRAYS = ("tokens", "sentence_offsets", "document_offsets")


class DamagedStoreError(UserError):
    """Files of a store are missing, cut short or altered."""


@dataclass(frozen=True)
class Split:
    """Document ids of the two parts, each sorted, neither empty."""

    train: Ids
    held_out: Ids


class TokenStore:
    """The tokens of a corpus, without special tokens; one store serves every arm and seed.

    ``tokens[sentence_offsets[s] : sentence_offsets[s + 1]]`` is sentence s, and document d is the
    sentences ``document_offsets[d] .. document_offsets[d + 1]``. No sentence and no document is
    empty.
    """

    def __init__(self, path: Path) -> None:
        """Opens a store. Raises DamagedStoreError when a file is missing or has another size."""
        manifest = read_manifest(path)
        self.path = path
        self.fingerprint: str = manifest["fingerprint"]
        self.vocabulary = _vocabulary(manifest["vocabulary"])
        arrays = {name: _mapped(path, name, manifest["dtypes"][name]) for name in ARRAYS}
        self.tokens: NDArray[np.uint16 | np.uint32] = arrays["tokens"]
        self.sentence_offsets: Ids = arrays["sentence_offsets"]
        self.document_offsets: Ids = arrays["document_offsets"]

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    @property
    def num_sentences(self) -> int:
        return len(self.sentence_offsets) - 1

    @property
    def num_documents(self) -> int:
        return len(self.document_offsets) - 1

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that made the tokens; it adds [CLS] and [SEP] when it encodes."""
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.path / TOKENIZER))

    def split(self, held_out: float) -> Split:
        """Documents to train on, and the share ``held_out`` of them to judge by.

        The same for every run on this store, whatever its seed. Raises UserError when there are
        not two documents.
        """
        if self.num_documents < 2:
            raise UserError(
                "the corpus is a single document, and held-out data is chosen by document: "
                "give it at least two"
            )
        draws = uniform(0, "held out", 0, self.num_documents, 1)[:, 0]
        count = min(max(round(held_out * self.num_documents), 1), self.num_documents - 1)
        order = np.argsort(draws, kind="stable").astype(np.int64)
        return Split(train=np.sort(order[count:]), held_out=np.sort(order[:count]))

    def verify(self) -> None:
        """Reads every byte. Raises DamagedStoreError when one differs from what was written."""
        for name, expected in read_manifest(self.path)["files"].items():
            with (self.path / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != expected["sha256"]:
                raise DamagedStoreError(f"token store {self.path} is damaged: {name} was altered")


def ranges(first: Ids, end: Ids) -> Ids:
    """The numbers of every range first[i] .. end[i], one range after the other."""
    lengths = end - first
    shift = np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
    return shift + np.arange(len(shift))


def write_manifest(
    path: Path,
    fingerprint: str,
    vocabulary: Vocabulary,
    dtypes: dict[str, str],
    about: dict[str, Any],
) -> None:
    """Describes the files that lie in ``path``: the last file of a store to be written."""
    manifest = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        **about,
        "vocabulary": asdict(vocabulary),
        "dtypes": dtypes,
        "files": {file.name: _described(file) for file in sorted(path.iterdir())},
    }
    (path / MANIFEST).write_text(json.dumps(manifest) + "\n", encoding="utf-8")


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a store. Raises DamagedStoreError when a file has another size."""
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        sizes = {name: file["bytes"] for name, file in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedStoreError(f"token store {path} is damaged: {MANIFEST}: {error}") from error
    for name, expected in sizes.items():
        file = path / name
        found = file.stat().st_size if file.is_file() else "no"
        if found != expected:
            raise DamagedStoreError(
                f"token store {path} is damaged: {name} has {found} bytes, {expected} were written"
            )
    return manifest


def _mapped(path: Path, name: str, dtype: DTypeLike) -> NDArray[Any]:
    # A plain array over the map: indexing np.memmap itself costs twice as much.
    return np.asarray(np.memmap(path / f"{name}.bin", dtype=dtype, mode="r"))


def _vocabulary(fields: dict[str, Any]) -> Vocabulary:
    special, continuation = fields.pop("special_ids"), fields.pop("continuation_ids")
    return Vocabulary(special_ids=tuple(special), continuation_ids=tuple(continuation), **fields)


def _described(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}
