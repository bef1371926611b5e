"""How fast a batch is masked, beside Hugging Face's collator.

    python -m tests.benchmarks.masking

Everything runs in this process, on one thread, in rounds: each round times every subject, so that
whatever else the machine does falls on all of them, and a ratio is that of one round. The time is
the processor's, which does not run while another process has it.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch

from clozebox.config.settings import TokenizerSettings
from clozebox.data import Examples, Rows, TokenStore, Vocabulary, make_examples, prepare
from clozebox.data.rows import Ids
from clozebox.pretraining import Batch, MaskingStrategy
from clozebox.registry import load_registry
from clozebox.testing.bench import BenchCorpus
from clozebox.training.batches import BLOCK, Batches
from clozebox.training.memory import keep_memory

SEQUENCES, LENGTH = 32, 128
PIECES = 8192
"""Of a vocabulary like a WordPiece tokenizer's; every fifth continues a word."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = Vocabulary(
    PIECES, 0, 1, 2, 3, 4, special_ids=(0, 1, 2, 3, 4), continuation_ids=tuple(range(5, PIECES, 5))
)
SECONDS = 0.05
"""How long one subject is repeated in one round, at the least."""

Subject = Callable[[], object]


def full_rows(sequences: int = SEQUENCES) -> Rows:
    """``[CLS]``, random pieces, ``[SEP]``: no padding."""
    ids = np.random.default_rng(0).integers(len(SPECIAL), PIECES, (sequences, LENGTH))
    ids[:, 0], ids[:, -1] = VOCABULARY.cls_id, VOCABULARY.sep_id
    special = np.isin(ids, VOCABULARY.special_ids)
    return Rows(ids, np.zeros_like(ids), np.ones_like(special), special)


def one_by_one(name: str, rows: Rows) -> Subject:
    """From a batch on the CPU to its masked view, a new batch each time."""
    batch = Batch.of(rows, VOCABULARY, strategy_of(name, VOCABULARY), seed=0, first=0)
    return lambda: replace(batch).masked


def strategy_of(name: str, vocabulary: Vocabulary) -> MaskingStrategy:
    config: Any = load_registry().get("masking strategy", name)
    built: MaskingStrategy = config().build(SimpleNamespace(vocabulary=vocabulary))
    return built


class Given(Examples[Any]):
    """The same rows again and again, already in memory, as they are for the peer."""

    def __init__(self, rows: Rows) -> None:
        self.given = rows

    def rows(self, first: int, count: int) -> Rows:
        assert count == len(self.given.input_ids)
        return self.given

    def _table(self, epoch: int) -> None: ...

    def _size(self, table: None) -> int:
        return len(self.given.input_ids)

    def _gather(self, table: None, chosen: Ids) -> Rows:
        return self.given


def in_training(name: str, examples: Examples[Any], vocabulary: Vocabulary) -> Subject:
    """Batch after batch, as training reads them, each to its masked view."""
    strategy = strategy_of(name, vocabulary)
    stream = Batches(examples, vocabulary, strategy, 0, torch.device("cpu"))
    first = itertools.count(0, SEQUENCES)
    return lambda: stream.batch(next(first), SEQUENCES, 0.0).masked


def store_in(folder: Path) -> TokenStore:
    """Tokens on disk."""
    return prepare(BenchCorpus(), TokenizerSettings(vocab_size=120), folder)


def hugging_face(rows: Rows, whole_word: bool, token_types: bool = True) -> Subject:
    """``DataCollatorForLanguageModeling`` on lists, as its tokenizer returns them."""
    from tokenizers import Tokenizer, models
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    pieces = {piece(id): id for id in range(PIECES)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordPiece(pieces, unk_token="[UNK]")),
        **{f"{token[1:-1].lower()}_token": token for token in SPECIAL},
    )
    # It cannot split whole words 80/10/10; asked to, it warns and hides them all.
    split = {"mask_replace_prob": 1.0, "random_replace_prob": 0.0} if whole_word else {}
    collator = DataCollatorForLanguageModeling(tokenizer, whole_word_mask=whole_word, **split)
    columns = {"input_ids": rows.input_ids, "attention_mask": rows.attention_mask.astype(int)}
    columns["special_tokens_mask"] = rows.special_tokens_mask.astype(int)
    if token_types:
        columns["token_type_ids"] = rows.token_type_ids
    if whole_word:
        columns["offset_mapping"] = np.stack([offsets(row) for row in rows.input_ids])
    features = [
        {name: column[row].tolist() for name, column in columns.items()} for row in range(SEQUENCES)
    ]
    return lambda: collator(features)


def piece(id: int) -> str:
    """How an id is written."""
    if id < len(SPECIAL):
        return SPECIAL[id]
    return f"##p{id}" if id % 5 == 0 else f"p{id}"


def offsets(ids: np.ndarray) -> np.ndarray:
    """Where each piece stands in a text of four letters a piece and a blank before each word."""
    begins = ~np.isin(ids, VOCABULARY.continuation_ids)
    start = np.arange(len(ids)) * 4 + begins.cumsum()
    spans = np.stack([start, start + 4], axis=1)
    spans[np.isin(ids, VOCABULARY.special_ids)] = 0
    return spans


def timed(subjects: Mapping[str, Subject], rounds: int) -> dict[str, list[float]]:
    """Microseconds a call, of each subject in each round."""
    repeats = {name: _repeats(subject) for name, subject in subjects.items()}
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            found[name].append(1e6 * _seconds(subject, repeats[name]) / repeats[name])
    return found


def _repeats(subject: Subject) -> int:
    _seconds(subject, 3)  # what is only done once
    return max(1, round(SECONDS / (_seconds(subject, 3) / 3)))


def _seconds(subject: Subject, repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        subject()
    return time.process_time() - start


class Ratio(NamedTuple):
    """How many times as long the peer takes, over the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, peer: list[float], ours: list[float]) -> Ratio:
        each = [a / b for a, b in zip(peer, ours, strict=True)]
        return cls(statistics.median(each), min(each), max(each))


TOKEN, WHOLE_WORD = "Clozebox token", "Clozebox whole_word"
HF_TOKEN, HF_WHOLE_WORD = "Hugging Face", "Hugging Face whole_word_mask"


def subjects() -> dict[str, Subject]:
    """What the two promises are about, each beside its peer."""
    rows, stream = full_rows(), Given(full_rows(BLOCK))
    return {
        TOKEN: in_training("token", stream, VOCABULARY),
        HF_TOKEN: hugging_face(rows, whole_word=False),
        WHOLE_WORD: in_training("whole_word", stream, VOCABULARY),
        HF_WHOLE_WORD: hugging_face(rows, whole_word=True),
    }


def main() -> None:
    torch.set_num_threads(1)
    keep_memory()  # as training does; of the peer's memory, too
    rows = full_rows()
    with tempfile.TemporaryDirectory() as folder:
        store = store_in(Path(folder))
        documents = np.arange(store.num_documents)
        examples = make_examples("single", store, documents, LENGTH, short_seq_prob=0.0, seed=0)
        every = subjects() | {
            "Clozebox token, from the store": in_training("token", examples, store.vocabulary),
            "Clozebox token, one batch alone": one_by_one("token", rows),
            "Clozebox whole_word, one batch alone": one_by_one("whole_word", rows),
            "Hugging Face, no token_type_ids": hugging_face(rows, False, token_types=False),
        }
        found = timed(every, rounds=15)
    for name, microseconds in found.items():
        print(f"{name:42}{statistics.median(microseconds):9.1f} us", end="")
        print(f"   ({min(microseconds):.1f} to {max(microseconds):.1f})")
    for peer, ours in ((HF_TOKEN, TOKEN), (HF_WHOLE_WORD, WHOLE_WORD)):
        ratio = Ratio.of(found[peer], found[ours])
        print(f"{ours:42}{ratio.median:9.1f} x faster   ({ratio.least:.1f} to {ratio.most:.1f})")


if __name__ == "__main__":
    main()
