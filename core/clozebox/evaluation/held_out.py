"""Documents that no arm trains on, always cut, ordered and masked in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from clozebox.data import Examples, TokenStore, make_examples
from clozebox.pretraining import Batch, MaskingStrategy

if TYPE_CHECKING:
    from clozebox.components import CorpusConfig, ExampleKind

EVALUATION_SEED = 0
"""Not the run's: the blanks are the same for every seed, so that only the model differs."""
SHORT_SEQ_PROB = 0.1
"""The share of the documents that make shorter pairs: BERT's, whatever an arm trains on."""


class Precision(Protocol):
    """The device and the arithmetic that evaluation shares with training."""

    @property
    def device(self) -> torch.device: ...

    @property
    def precision(self) -> str: ...

    def autocast(self) -> AbstractContextManager[object]: ...


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The held-out documents of a token store, as batches."""

    store: TokenStore
    documents: np.ndarray
    seq_length: int
    batch_size: int
    masking: MaskingStrategy | None
    numerics: Precision
    kind: ExampleKind
    """The kind of example that the arm learns from."""
    corpus: CorpusConfig
    """What the documents are, for a yardstick that knows more of them than their tokens."""

    @cached_property
    def single(self) -> Examples[Any]:
        return self._examples("single")

    @cached_property
    def own(self) -> Examples[Any]:
        """Of the kind that the arm learns from."""
        return self.single if self.kind == "single" else self._examples(self.kind)

    def cut(self) -> None:
        """Cut the documents into examples now, so that a corpus that gives none is refused early.

        Raises:
            UserError: the held-out documents give no example of a kind that is needed.
        """
        len(self.single)
        len(self.own)

    def batches(self, sequences: int, own: bool = False) -> Iterator[Batch]:
        """``sequences`` examples from all over the documents, always the same ones, masks and all.

        Single sequences, the same for every arm; or the arm's ``own`` kind of example.

        In a fixed shuffled order: the first in the store's own would be those of a few documents.
        """
        examples, kind = (self.own, self.kind) if own else (self.single, "single")
        end = min(sequences, len(examples))
        for first in range(0, end, self.batch_size):
            yield Batch.of(
                examples.rows(first, min(self.batch_size, end - first)),
                self.store.vocabulary,
                self.masking,
                seed=EVALUATION_SEED,
                first=first,
                stream=f"eval/{kind}",
                device=self.numerics.device,
            )

    def _examples(self, kind: ExampleKind) -> Examples[Any]:
        return make_examples(
            kind,
            self.store,
            self.documents,
            seq_length=self.seq_length,
            short_seq_prob=SHORT_SEQ_PROB,
            seed=EVALUATION_SEED,
        )
