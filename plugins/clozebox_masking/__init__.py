"""Masking strategies: which tokens are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clozebox import MaskingConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.data import Vocabulary
    from clozebox.pretraining import MaskingStrategy


class TokenMaskingConfig(MaskingConfig):
    """Single tokens, uniformly, an exact number of each sequence (Devlin et al., 2019, 3.1)."""

    name: ClassVar[str] = "token"

    def build(self, vocabulary: Vocabulary) -> MaskingStrategy:
        from clozebox_masking.token import TokenMasking

        return TokenMasking(self, vocabulary)


@hookimpl
def register_masking_strategies() -> list[type[MaskingConfig]]:
    return [TokenMaskingConfig]
