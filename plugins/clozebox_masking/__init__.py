"""Masking strategies: which tokens are predicted. This page is their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from clozebox import MaskingConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.data import TrainingText
    from clozebox.pretraining import MaskingStrategy


class TokenMaskingConfig(MaskingConfig):
    """Single tokens, each as likely as any other (Devlin et al., 2019, section 3.1)."""

    name: ClassVar[str] = "token"

    count: Literal["exact", "bernoulli"] = "exact"
    """BERT's exact number of each sequence, or a coin for each token (Liu et al., 2019)."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        from clozebox_masking.token import BernoulliMasking, TokenMasking

        strategy = TokenMasking if self.count == "exact" else BernoulliMasking
        return strategy(self, text.vocabulary)


class WholeWordMaskingConfig(MaskingConfig):
    """All pieces of a word or none (BERT's whole-word models; Cui et al., 2021)."""

    name: ClassVar[str] = "whole_word"
    whole_words: ClassVar[bool] = True

    def build(self, text: TrainingText) -> MaskingStrategy:
        from clozebox_masking.whole_word import WholeWordMasking

        return WholeWordMasking(self, text.vocabulary)


class SpanMaskingConfig(MaskingConfig):
    """Runs of words of geometric length (Joshi et al., 2020, SpanBERT, section 3.1)."""

    name: ClassVar[str] = "span"

    p: float = Field(default=0.2, gt=0, lt=1)
    """A span is one word longer with chance 1 - p."""
    max_length: int = Field(default=10, ge=1, le=100)
    """Words of the longest span; the chances of the shorter ones are scaled to sum to one."""
    split: Literal["span", "token"] = "span"
    """Whether the tokens of a span become [MASK], random or kept all together, or each alone."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        from clozebox_masking.spans import SpanMasking, geometric

        chances = geometric(self.p, self.max_length)
        return SpanMasking(self, text.vocabulary, chances, together=self.split == "span")


class NgramMaskingConfig(MaskingConfig):
    """Runs of up to ``max_n`` words, n of them with a chance of 1/n (Lan et al., 2020, ALBERT)."""

    name: ClassVar[str] = "ngram"

    max_n: int = Field(default=3, ge=1, le=100)
    """Words of the longest run."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        from clozebox_masking.spans import SpanMasking, harmonic

        return SpanMasking(self, text.vocabulary, harmonic(self.max_n), together=False)


class PmiMaskingConfig(MaskingConfig):
    """Collocations of the training text, other words alone (Levine et al., 2021, PMI-Masking)."""

    name: ClassVar[str] = "pmi"
    whole_words: ClassVar[bool] = True

    collocations: int = Field(default=10_000, ge=1)
    """How many n-grams are taken, from the highest pointwise mutual information down."""
    min_count: int = Field(default=10, ge=2)
    """How often an n-gram occurs in the training text at the least."""
    max_length: int = Field(default=5, ge=2, le=10)
    """Words of the longest n-gram."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        from clozebox_masking.collocations import collocations
        from clozebox_masking.pmi import PmiMasking

        keys = collocations(text, self.collocations, self.min_count, self.max_length)
        return PmiMasking(self, text.vocabulary, keys, self.max_length)


class EntropyMaskingConfig(MaskingConfig):
    """Tokens that their neighbours leave open more often than those that they give away."""

    name: ClassVar[str] = "entropy"

    sharpness: float = Field(default=1.0, ge=0, le=10)
    """The power to which the entropy of a position is raised: 0 makes all positions equal."""

    def build(self, text: TrainingText) -> MaskingStrategy:
        from clozebox_masking.entropy import EntropyMasking

        return EntropyMasking(self, text, self.sharpness)


@hookimpl
def register_masking_strategies() -> list[type[MaskingConfig]]:
    return [
        TokenMaskingConfig,
        WholeWordMaskingConfig,
        SpanMaskingConfig,
        NgramMaskingConfig,
        PmiMaskingConfig,
        EntropyMaskingConfig,
    ]
