"""A made-up language whose every probability is known, and how far a model is from knowing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PositiveInt

from clozebox import CorpusConfig, EvaluationTaskConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.data import Corpus
    from clozebox.evaluation import EvaluationTask


class HmmConfig(CorpusConfig):
    """Hidden-Markov text with topics and an order of sentences; its exact floors are known.

    A document of ``sentences`` times ``sentence_words`` words fills one row of that plus three
    tokens, which is what ``train.seq_length`` must be for the task ``floor``.
    """

    name: ClassVar[str] = "hmm"

    seed: int = Field(default=0, ge=0)
    """Another seed is another language, and another text."""
    documents: int = Field(default=20_000, ge=2)
    topics: int = Field(default=3, ge=1, le=64)
    """What a whole document is about: which state follows which."""
    kinds: int = Field(default=3, ge=1, le=64)
    """Kinds of sentence, which go round: the kind of a sentence says in which state it begins."""
    states: int = Field(default=6, ge=1, le=256)
    words: int = Field(default=60, ge=2, le=2500)
    sentences: int = Field(default=4, ge=2, le=32)
    """Of a document; if ``kinds`` divides it, exchanging its parts changes next to nothing."""
    sentence_words: int = Field(default=6, ge=1, le=64)
    sharpness: float = Field(default=6.0, ge=0, le=8)
    """How much likelier one choice is than another: the power of the random weights; 0 = even."""
    order: float = Field(default=0.9, ge=0, le=1)
    """How surely the next sentence is of the next kind; 0 = the order of sentences says nothing."""

    def build(self) -> Corpus:
        from clozebox_synthetic.corpus import Hmm

        return Hmm(self)


class FloorConfig(EvaluationTaskConfig):
    """Held-out losses above the lowest that is possible, in nats; needs the corpus ``hmm``."""

    name: ClassVar[str] = "floor"
    sequences: PositiveInt = 256
    rate: float = Field(default=0.15, gt=0, lt=1)
    """The share of the tokens that are blanks, of the same ones for every arm."""

    def build(self) -> EvaluationTask:
        from clozebox_synthetic.task import FloorTask

        return FloorTask(self)


@hookimpl
def register_corpora() -> list[type[CorpusConfig]]:
    return [HmmConfig]


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [FloorConfig]
