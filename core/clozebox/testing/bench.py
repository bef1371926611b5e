"""What components are tried on: a small text of its own, batches of it, and a small model.

B sequences, T tokens.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from clozebox.components import (
    CorpusConfig,
    EmbeddingConfig,
    EncoderConfig,
    ExampleKind,
    MaskingConfig,
    ModelShape,
    ObjectiveConfig,
    SizePreset,
)
from clozebox.config.settings import (
    Arm,
    Budget,
    DataSettings,
    ModelSettings,
    Optim,
    Speed,
    TokenizerSettings,
    Train,
)
from clozebox.data import Corpus, Rows, TokenStore, TrainingText, make_examples, prepare, uniform
from clozebox.model import BertEmbedding, BertEncoder, Embedding, Encoder
from clozebox.pretraining import Batch, MaskingStrategy, PretrainingModel, choose_exactly

LENGTH = 24
"""Tokens of a row: short, so that a counterexample fits a line."""
SIZE = SizePreset(
    # Pairwise different numbers, so that a swapped axis cannot pass.
    name="bench",
    num_hidden_layers=2,
    hidden_size=32,
    num_attention_heads=4,
    intermediate_size=48,
)
PHRASES = 8
SYLLABLES = [consonant + vowel for consonant in "bdklmnrt" for vowel in "aeo"]


class BenchCorpus(CorpusConfig):
    """Documents of made-up words, frequent and rare, and phrases; another text for another seed."""

    name: ClassVar[str] = "bench"
    seed: int = 0

    def build(self) -> Corpus:
        return _MadeUpText(self.seed)


class _MadeUpText(Corpus):
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def documents(self) -> Iterator[list[str]]:
        words = self._words()
        for document in range(60):
            lengths = self._draw(f"lengths/{document}", 9)[: 4 + document % 6] * 9 + 3
            yield [self._sentence(words, document, n, int(k)) for n, k in enumerate(lengths)]

    def fingerprint(self) -> str:
        return f"bench-{self.seed}"

    def _words(self) -> list[str]:
        picks = (self._draw("words", 600).reshape(200, 3) * len(SYLLABLES)).astype(int)
        return ["".join(SYLLABLES[i] for i in row[: 1 + n % 3]) for n, row in enumerate(picks)]

    def _sentence(self, words: list[str], document: int, number: int, length: int) -> str:
        # Squared: low numbers come often, high ones seldom, as words do.
        picks = self._draw(f"sentence/{document}/{number}", length) ** 2 * len(words)
        said = [words[int(pick)] for pick in picks]
        # Every other sentence ends in one of a few phrases: rare words that stand together, two or
        # three of two syllables each, so that a phrase is a small part of a row.
        phrase = int(self._draw(f"phrase/{document}/{number}", 1)[0] * 2 * PHRASES)
        if phrase < PHRASES:
            rare = words[-9 * PHRASES :][2::3]
            said += rare[3 * phrase :][: 2 + phrase % 2]
        return " ".join(said) + "."

    def _draw(self, stream: str, count: int) -> np.ndarray:
        drawn: np.ndarray = uniform(self.seed, f"bench/{stream}", 0, 1, count)[0]
        return drawn.astype(np.float64)


class BenchEmbedding(EmbeddingConfig):
    name: ClassVar[str] = "bench"

    def build(self, shape: ModelShape) -> Embedding:
        return BertEmbedding(shape, hidden_dropout_prob=0.0)


class BenchEncoder(EncoderConfig):
    name: ClassVar[str] = "bench"

    def build(self, shape: ModelShape) -> Encoder:
        return BertEncoder(shape, 0.0, 0.0, layer_norm="pre")


class BenchMasking(MaskingConfig):
    """Single tokens, uniformly: what an objective is tried with."""

    name: ClassVar[str] = "bench"

    def build(self, text: TrainingText) -> MaskingStrategy:
        class Tokens(MaskingStrategy):
            def choose(self, batch: Batch, rate: float) -> Tensor:
                return choose_exactly(batch.uniform("choice"), batch, rate)

        return Tokens(self, text.vocabulary)


ALL_HIDDEN = BenchMasking(rate=0.3, mask_share=1.0, random_share=0.0)
AS_BERT = BenchMasking(rate=0.3)


@dataclass(frozen=True, eq=False)
class SteadyBatch(Batch):
    """A batch whose draws do not depend on its width, so that padding alone can be changed."""

    def uniform(self, name: str) -> Tensor:
        """As that of a batch, of one width for all."""
        return Batch.uniform(self._wide, name)[:, : self.input_ids.shape[1]]

    def bits(self, name: str) -> Tensor:
        """As those of a batch, of one width for all."""
        return Batch.bits(self._wide, name)[:, : self.input_ids.shape[1]]

    @property
    def _wide(self) -> Batch:
        return replace(self, input_ids=self.input_ids.new_zeros(len(self.input_ids), 4 * LENGTH))


@dataclass(frozen=True, eq=False)
class RecordingBatch(SteadyBatch):
    """A batch that tells which numbers were drawn from it."""

    drawn: list[str] = field(default_factory=list)

    @classmethod
    def of_batch(cls, batch: Batch) -> RecordingBatch:
        """The same batch, of which nothing was drawn yet."""
        return cls(**{each.name: getattr(batch, each.name) for each in fields(Batch)})

    def uniform(self, name: str) -> Tensor:
        """As that of a batch; the name is kept."""
        self.drawn.append(name)
        return super().uniform(name)

    def bits(self, name: str) -> Tensor:
        """As those of a batch; the name is kept."""
        self.drawn.append(name)
        return super().bits(name)


class Bench:
    """The text, cut and batched, for one seed and one kind of tokenizer."""

    def __init__(self, seed: int = 0, tokenizer: Literal["wordpiece", "bpe"] = "wordpiece") -> None:
        self.seed = seed
        # The store is mapped from there; what is mapped outlives the removal of its file.
        folder = Path(tempfile.mkdtemp(prefix="clozebox-bench-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        size = 120 if tokenizer == "wordpiece" else 340
        self._data = DataSettings(
            BenchCorpus(seed=seed), TokenizerSettings(kind=tokenizer, vocab_size=size)
        )
        self.store: TokenStore = prepare(self._data.corpus, self._data.tokenizer, folder)
        self.text = TrainingText(self.store, np.arange(self.store.num_documents))
        self.vocabulary = self.store.vocabulary

    def batch(
        self,
        kind: ExampleKind = "single",
        count: int = 8,
        first: int = 0,
        masking: MaskingStrategy | None = None,
    ) -> SteadyBatch:
        """``count`` rows of ``LENGTH`` tokens, most with some padding."""
        examples = make_examples(
            kind, self.store, self.text.documents, LENGTH, short_seq_prob=0.5, seed=self.seed
        )
        return self.of_rows(examples.rows(first, count), masking, first)

    def of_rows(
        self, rows: Rows, masking: MaskingStrategy | None = None, first: int = 0
    ) -> SteadyBatch:
        """A batch of given rows."""
        made = SteadyBatch.of(rows, self.vocabulary, masking, seed=self.seed, first=first)
        assert isinstance(made, SteadyBatch)
        return made

    def packed(self, count: int = 8, masking: MaskingStrategy | None = None) -> SteadyBatch:
        """Rows that hold two documents each, the second behind the first, as in packed training."""
        short = make_examples(
            "single", self.store, self.text.documents, LENGTH // 2, 0.0, seed=self.seed
        )
        both = short.rows(0, count), short.rows(count, count)
        lengths = [rows.attention_mask.sum(1) for rows in both]  # each (B,)
        place = np.arange(LENGTH)
        second = place - lengths[0][:, None]  # (B, T): the column in the second document
        real = second < lengths[1][:, None]  # (B, T)

        def joined(name: str, padding: int | bool) -> np.ndarray:
            first, other = (getattr(rows, name) for rows in both)  # each (B, T / 2)
            wide = np.pad(first, ((0, 0), (0, LENGTH - first.shape[1])))
            behind = np.take_along_axis(other, second.clip(0, LENGTH // 2 - 1), axis=1)
            return np.where(second < 0, wide, np.where(real, behind, padding))

        rows = Rows(
            input_ids=joined("input_ids", self.vocabulary.pad_id),
            token_type_ids=joined("token_type_ids", 0),
            attention_mask=real,
            special_tokens_mask=joined("special_tokens_mask", True),
        )
        documents = np.where(second < 0, 0, np.where(real, 1, 2))
        return replace(self.of_rows(rows, masking), document_ids=torch.from_numpy(documents))

    def model(self, objectives: Sequence[ObjectiveConfig], seed: int = 0) -> PretrainingModel:
        """A small model with its initial weights and no dropout, in double precision.

        There a difference of 1e-9 is a dependence, and not rounding.
        """
        arm = self.arm(objectives)
        return PretrainingModel.initialised(arm, self.vocabulary, self.seed + seed).double()

    def arm(self, objectives: Sequence[ObjectiveConfig]) -> Arm:
        """The arm of ``model``."""
        return Arm(
            name="bench",
            model=ModelSettings(SIZE, BenchEmbedding(max_position_embeddings=64), BenchEncoder()),
            data=self._data,
            masking=None,
            objectives=tuple(objectives),
            phases=(),
            evaluations=(),
            reporters=(),
            budget=Budget(steps=1),
            train=Train(),
            optim=Optim(),
            speed=Speed(),
        )

    def tokens(self, ids: Tensor) -> list[str]:
        """Ids (T,) as they are written."""
        tokenizer = self.store.tokenizer()
        return [tokenizer.id_to_token(int(token)) or "?" for token in ids]
