"""The settings base class of each kind of component.

A component is named in TOML and built by its settings: a frozen, strict pydantic model whose fields
*are* the TOML schema and whose ``build`` imports torch inside. So components can be listed,
validated and completed without torch, and a sweep can check ``"masking.rate"`` before a GPU is
touched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

if TYPE_CHECKING:
    from clozebox.data import Corpus, TrainingText
    from clozebox.evaluation import EvaluationTask
    from clozebox.model import Embedding, Encoder
    from clozebox.pretraining import MaskingStrategy, ModelContext, Objective
    from clozebox.training import Reporter


ExampleKind = Literal["single", "pair", "swapped_pair"]


class Settings(BaseModel):
    """Frozen and strict: an unknown key, a wrong type or a non-finite number is an error."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


class SizePreset(Settings):
    """The size of an encoder, in BERT's own words (Devlin et al., 2019; Turc et al., 2019)."""

    name: str
    num_hidden_layers: PositiveInt
    hidden_size: PositiveInt
    num_attention_heads: PositiveInt
    intermediate_size: PositiveInt = Field(
        default_factory=lambda given: 4 * given.get("hidden_size", 1)
    )

    @model_validator(mode="after")
    def _heads_divide_hidden_size(self) -> SizePreset:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not divisible by num_attention_heads "
                f"{self.num_attention_heads}: every head must get the same whole width"
            )
        return self


class ModelShape(Settings):
    """Everything that fixes the shapes of a model: a size, a vocabulary and BERT's tables."""

    vocab_size: PositiveInt
    hidden_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    intermediate_size: PositiveInt
    max_position_embeddings: PositiveInt = 512
    type_vocab_size: PositiveInt = 2

    @classmethod
    def of(cls, size: SizePreset, vocab_size: int, max_position_embeddings: int) -> ModelShape:
        """The shape that a size preset takes on a vocabulary of ``vocab_size`` tokens."""
        return cls(
            vocab_size=vocab_size,
            max_position_embeddings=max_position_embeddings,
            **size.model_dump(exclude={"name"}),
        )


class Component(Settings, ABC):
    """Settings that carry a registry name and build the thing they describe."""

    name: ClassVar[str]

    def settings(self) -> dict[str, Any]:
        """The resolved TOML table, ``name`` included; what is not set is left out."""
        return {"name": self.name, **self.model_dump(mode="json", exclude_none=True)}


class EmbeddingConfig(Component):
    """ids -> (B, T, D)."""

    max_position_embeddings: PositiveInt = 512

    @abstractmethod
    def build(self, shape: ModelShape) -> Embedding: ...


class EncoderConfig(Component):
    """(B, T, D) -> (B, T, D)."""

    @abstractmethod
    def build(self, shape: ModelShape) -> Encoder: ...


class MaskingConfig(Component):
    """Which tokens are predicted, and what stands in their place.

    How many and what becomes of them is the core's and the same for every strategy. ``rate`` of the
    tokens are predicted; with ``final_rate`` it moves there over the budget. As many are corrupted,
    unless ``corruption_rate`` says otherwise (Wettig et al., 2023, section 4): of the corrupted,
    ``mask_share`` become [MASK], ``random_share`` a random ordinary token, the rest stay.
    """

    whole_words: ClassVar[bool] = False
    """Whether it chooses all the pieces of a word or none."""

    rate: float = Field(default=0.15, gt=0, lt=1)
    final_rate: float | None = Field(default=None, gt=0, lt=1)
    schedule: Literal["linear", "cosine"] | None = None
    """From ``rate`` to ``final_rate``; linear when it is not given."""
    corruption_rate: float | None = Field(default=None, gt=0, lt=1)
    mask_share: float = Field(default=0.8, ge=0, le=1)
    random_share: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _fits_together(self) -> MaskingConfig:
        if self.mask_share + self.random_share > 1 + 1e-9:
            raise ValueError(
                f"mask_share {self.mask_share} + random_share {self.random_share} exceed 1"
            )
        if self.schedule is not None and self.final_rate is None:
            raise ValueError(f"schedule {self.schedule!r} leads nowhere without final_rate")
        return self

    @abstractmethod
    def build(self, text: TrainingText) -> MaskingStrategy: ...


class ObjectiveConfig(Component):
    """What is predicted, and the loss."""

    example: ClassVar[ExampleKind] = "single"
    """The example it learns from: one packed sequence, BERT's sentence pair (the second half the
    time from another document), or ALBERT's (half the time in the wrong order)."""
    needs_masking: ClassVar[bool] = False
    """Whether it reads the masking strategy's choice; a strategy that nothing reads is an error."""

    weight: float = Field(default=1.0, gt=0)
    share: float | None = Field(default=None, gt=0, le=1)
    """The share of the sequences that it learns from, others with a share from the rest; all of
    them where none is given. What it weighs in the loss shrinks with it."""

    @abstractmethod
    def build(self, context: ModelContext) -> Objective: ...


class TokenObjectiveConfig(ObjectiveConfig):
    """An objective that predicts tokens."""

    ahead: ClassVar[int] = 1
    """How far from the nearest token that it reads an answer stands; more than 1 skips some."""

    head: str | None = None
    """The objective whose head it predicts through; one of its own where none is named."""


class CorpusConfig(Component):
    """Documents, each a list of sentences."""

    @abstractmethod
    def build(self) -> Corpus: ...


class EvaluationTaskConfig(Component):
    """A yardstick: (model, held-out data) -> metrics."""

    when: Literal["always", "end"] | None = None
    """At each evaluation of the training, which is usual, or only at the end of the budget."""

    @abstractmethod
    def build(self) -> EvaluationTask: ...


class ReporterConfig(Component):
    """Where metrics go besides metrics.jsonl."""

    @abstractmethod
    def build(self) -> Reporter: ...
