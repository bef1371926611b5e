"""Vectors to contextual vectors.

B sequences, T tokens, D hidden size, L layers, S tokens that are computed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.components import ModelShape
from clozebox.model.attention import Attention
from clozebox.model.dropout import Dropout
from clozebox.model.flops import encoder_flops
from clozebox.model.self_attention import MultiHeadSelfAttention
from clozebox.model.unpadding import LaidOut

LayerNormPlace = Literal["post", "pre"]


class Encoder(nn.Module, ABC):
    """Reads embedded tokens, and lets each look at what ``attention`` allows."""

    @abstractmethod
    def forward(self, embedded: Tensor, attention: Attention) -> Tensor:
        """embedded (B, T, D) -> (B, T, D)."""

    @abstractmethod
    def hidden_states(self, embedded: Tensor, attention: Attention) -> list[Tensor]:
        """embedded (B, T, D) -> L + 1 times (B, T, D): ``embedded``, then the output of each layer.

        The last is what ``forward`` returns.
        """

    @abstractmethod
    def flops(self, tokens: int) -> int:
        """Forward floating-point operations of one sequence of ``tokens``, attention dense."""


class BertEncoder(Encoder):
    """BERT's Transformer: LayerNorm after each residual sum (Devlin et al., 2019, 3).

    ``layer_norm = "pre"`` normalises what goes *into* attention and feed-forward instead, and once
    more at the end (Xiong et al., 2020).
    """

    def __init__(
        self,
        shape: ModelShape,
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        layer_norm: LayerNormPlace = "post",
        layer_norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.layer_norm = layer_norm
        self.layer_norm_eps = layer_norm_eps
        self.leaves_out_padding = True
        kind = PreNormLayer if layer_norm == "pre" else PostNormLayer
        self.layers = nn.ModuleList(
            kind(shape, hidden_dropout_prob, attention_probs_dropout_prob, layer_norm_eps)
            for _ in range(shape.num_hidden_layers)
        )
        # Nothing after the last pre-norm layer would bound the residual stream.
        self.final_norm = (
            nn.LayerNorm(shape.hidden_size, eps=layer_norm_eps)
            if layer_norm == "pre"
            else nn.Identity()
        )

    def forward(self, embedded: Tensor, attention: Attention) -> Tensor:
        """embedded (B, T, D) -> (B, T, D), and 0 at padding where that was left out."""
        layout = self._layout(embedded, attention)
        hidden = embedded if layout is None else layout.lay_out(embedded)  # (S, D)
        for layer in self.layers:
            hidden = layer(hidden, attention)
        output: Tensor = self.final_norm(hidden)
        return output if layout is None else layout.put_back(output)  # (B, T, D)

    def _layout(self, embedded: Tensor, attention: Attention) -> LaidOut | None:
        """Which tokens are computed; None for all of them."""
        if not self.leaves_out_padding:
            return None
        first = self.layers[0]
        assert isinstance(first, PostNormLayer)
        mixing = first.attention
        if mixing.kernel != "varlen":
            return attention.layout
        # That kernel drops nothing out.
        usable = mixing.variable_length.takes(embedded) and not (self.training and mixing.dropout)
        return attention.packing if usable else None

    def hidden_states(self, embedded: Tensor, attention: Attention) -> list[Tensor]:
        """embedded (B, T, D) -> L + 1 times (B, T, D)."""
        states = [embedded]
        for layer in self.layers:
            states.append(layer(states[-1], attention))
        states[-1] = self.final_norm(states[-1])
        return states

    def flops(self, tokens: int) -> int:
        """Forward floating-point operations of one sequence of ``tokens``, attention dense."""
        return encoder_flops(self.shape, tokens)


class PostNormLayer(nn.Module):
    """Attention, then feed-forward; each added to what went in, and the sum normalised."""

    def __init__(
        self,
        shape: ModelShape,
        hidden_dropout_prob: float,
        attention_probs_dropout_prob: float,
        layer_norm_eps: float,
    ) -> None:
        super().__init__()
        width = shape.hidden_size
        self.attention = MultiHeadSelfAttention(
            width, shape.num_attention_heads, attention_probs_dropout_prob
        )
        self.attention_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.intermediate = nn.Linear(width, shape.intermediate_size)
        self.output = nn.Linear(shape.intermediate_size, width)
        self.output_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.dropout = Dropout(hidden_dropout_prob)

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., D), through the intermediate size and gelu in its exact, erf form."""
        output: Tensor = self.output(F.gelu(self.intermediate(hidden)))
        return output

    def forward(self, hidden: Tensor, attention: Attention) -> Tensor:
        """hidden (B, T, D) or (S, D) -> the same."""
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, attention)))
        output: Tensor = self.output_norm(hidden + self.dropout(self.feed_forward(hidden)))
        return output


class PreNormLayer(PostNormLayer):
    """The same parts; what goes in is normalised, and the residual stream is left alone."""

    def forward(self, hidden: Tensor, attention: Attention) -> Tensor:
        """hidden (B, T, D) or (S, D) -> the same."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), attention))
        output: Tensor = hidden + self.dropout(self.feed_forward(self.output_norm(hidden)))
        return output
