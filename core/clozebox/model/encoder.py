"""Vectors to contextual vectors.

B sequences, T tokens, D hidden size, L layers, S tokens that are computed, R that are read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.components import ModelShape
from clozebox.model.attention import Attention
from clozebox.model.dropout import Dropout
from clozebox.model.flops import encoder_flops
from clozebox.model.self_attention import MultiHeadSelfAttention, chosen
from clozebox.model.unpadding import LaidOut, scattered

LayerNormPlace = Literal["post", "pre"]
MOST_READ = 0.75
"""The share of the positions that may be read for leaving out the others to pay."""


class Encoder(nn.Module, ABC):
    """Reads embedded tokens, and lets each look at what ``attention`` allows."""

    @abstractmethod
    def forward(self, embedded: Tensor, attention: Attention) -> Tensor:
        """embedded (B, T, D) -> (B, T, D)."""

    def forward_at(self, embedded: Tensor, attention: Attention, read: Tensor) -> Tensor:
        """The same, where nothing is read but the positions ``read``, whatever else stands there.

        read (R,): into the B*T flattened positions, each at most once. An encoder that can leave
        out the others overrides this.
        """
        output: Tensor = self(embedded, attention)
        return output

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
        self.leaves_out_unread = True
        """Padding, and in the last layer every position that nobody reads."""
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

    def forward_at(self, embedded: Tensor, attention: Attention, read: Tensor) -> Tensor:
        """embedded (B, T, D) -> (B, T, D): NaN at all but ``read`` (R,), if these are few.

        Nothing looks at the output of the last layer but who reads it. The others get no
        feed-forward there, and as NaN they cannot be read unnoticed.
        """
        rows, width, _ = embedded.shape
        layout = self._layout(embedded, attention)
        computed = rows * width if layout is None else len(layout.place)
        if not self._can_leave_out(len(read), computed):
            return super().forward_at(embedded, attention, read)
        hidden = embedded if layout is None else layout.lay_out(embedded)  # (S, D)
        for layer in self.layers[:-1]:
            hidden = layer(hidden, attention)
        place = read if layout is None else layout.rows_of(read)  # (R,), into the S
        output = self.final_norm(self.layers[-1](hidden, attention, place))  # (R, D)
        return scattered(output, read, (rows, width), torch.nan)

    def _can_leave_out(self, read: int, computed: int) -> bool:
        """Whether it pays, and nobody put another part in the place of one of these."""
        if not self.leaves_out_unread or read > MOST_READ * computed:
            return False
        last = self.layers[-1]
        if type(self) is not BertEncoder or not isinstance(last, PostNormLayer):
            return False
        # Its methods are asked, not its class: sharding gives a layer another class.
        kind = PreNormLayer if isinstance(last, PreNormLayer) else PostNormLayer
        own = ("forward", "feed_forward")
        changed = any(getattr(type(last), name) is not getattr(kind, name) for name in own)
        return not changed and type(last.attention) is MultiHeadSelfAttention

    def _layout(self, embedded: Tensor, attention: Attention) -> LaidOut | None:
        """Which tokens are computed; None for all of them."""
        if not self.leaves_out_unread:
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

    def forward(self, hidden: Tensor, attention: Attention, rows: Tensor | None = None) -> Tensor:
        """hidden (B, T, D) or (S, D) -> the same, or (R, D): that of the ``rows`` alone."""
        mixed = self.dropout(self.attention(hidden, attention, rows))
        hidden = self.attention_norm(chosen(hidden, rows) + mixed)
        output: Tensor = self.output_norm(hidden + self.dropout(self.feed_forward(hidden)))
        return output


class PreNormLayer(PostNormLayer):
    """The same parts; what goes in is normalised, and the residual stream is left alone."""

    def forward(self, hidden: Tensor, attention: Attention, rows: Tensor | None = None) -> Tensor:
        """hidden (B, T, D) or (S, D) -> the same, or (R, D): that of the ``rows`` alone."""
        mixed = self.dropout(self.attention(self.attention_norm(hidden), attention, rows))
        hidden = chosen(hidden, rows) + mixed
        output: Tensor = hidden + self.dropout(self.feed_forward(self.output_norm(hidden)))
        return output
