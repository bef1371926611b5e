"""Token ids to vectors.

B sequences, T tokens, D hidden size, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

from torch import Tensor, nn

from clozebox.components import ModelShape
from clozebox.errors import UserError
from clozebox.model.dropout import Dropout


class Embedding(nn.Module, ABC):
    """What the encoder reads, and the token table that the heads are tied to."""

    @property
    @abstractmethod
    def token_table(self) -> nn.Parameter:
        """One vector for each token of the vocabulary, (V, D)."""

    @abstractmethod
    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        """input_ids, token_type_ids (B, T) -> (B, T, D)."""


class BertEmbedding(Embedding):
    """Token + segment + learned position, then LayerNorm and dropout (Devlin et al., 2019, 3)."""

    def __init__(
        self,
        shape: ModelShape,
        hidden_dropout_prob: float = 0.1,
        layer_norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.segment = nn.Embedding(shape.type_vocab_size, shape.hidden_size)
        self.position = nn.Embedding(shape.max_position_embeddings, shape.hidden_size)
        self.norm = nn.LayerNorm(shape.hidden_size, eps=layer_norm_eps)
        self.dropout = Dropout(hidden_dropout_prob)

    @property
    def token_table(self) -> nn.Parameter:
        return cast(nn.Parameter, self.token.weight)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        """input_ids, token_type_ids (B, T) -> (B, T, D).

        Raises:
            UserError: T exceeds the number of positions.
        """
        length, positions = input_ids.shape[1], self.position.num_embeddings
        if length > positions:
            raise UserError(
                f"a sequence of {length} tokens, but only {positions} positions: "
                "shorten train.seq_length or raise embedding.max_position_embeddings"
            )
        position = self.position.weight[:length]  # (T, D), the same for every sequence
        embedded = self.token(input_ids) + self.segment(token_type_ids) + position  # (B, T, D)
        output: Tensor = self.dropout(self.norm(embedded))
        return output
