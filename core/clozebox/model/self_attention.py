"""Each position mixes in what it may look at.

B sequences, T tokens, D hidden size, N heads, H = D / N, S tokens that are computed,
R that are read.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clozebox.model.attention import Attention
from clozebox.model.kernels import Kernel
from clozebox.model.varlen import FLASH


class MultiHeadSelfAttention(nn.Module):
    """Scaled dot-product attention in N heads (Vaswani et al., 2017, 3.2.2)."""

    kernel: Kernel | None = None
    """None: products on a CPU, and elsewhere torch's kernel."""
    variable_length = FLASH

    def __init__(self, hidden_size: int, num_heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden: Tensor, attention: Attention, rows: Tensor | None = None) -> Tensor:
        """hidden (B, T, D) or, in the layout of the attention, (S, D) -> the same.

        With ``rows`` (R,) -> (R, D): all are looked at, and only those are told what was seen.
        """
        mixed = self.mix(self.qkv(hidden), attention)  # (B, T, D) or (S, D)
        output: Tensor = self.output(chosen(mixed, rows))
        return output

    def mix(self, projected: Tensor, attention: Attention) -> Tensor:
        """(B, T, 3D) -> (B, T, D), or (S, 3D) -> (S, D)."""
        if projected.dim() == 3:
            return self._mixed(projected, attention)
        packed = self.kernel == "varlen"
        return (self._mixed_packed if packed else self._mixed_in_groups)(projected, attention)

    def _mixed_packed(self, projected: Tensor, attention: Attention) -> Tensor:
        """(S, 3D) -> (S, D)."""
        assert attention.packing is not None
        heads = projected.view(len(projected), 3, self.num_heads, -1)  # (S, 3, N, H)
        query, key, value = heads.unbind(1)  # each (S, N, H)
        mixed = self.variable_length(query, key, value, attention.packing, attention.kind)
        return mixed.flatten(1)  # (S, D)

    def _mixed_in_groups(self, projected: Tensor, attention: Attention) -> Tensor:
        """(S, 3D) -> (S, D)."""
        assert attention.layout is not None
        pairs = zip(attention.layout.groups, attention.parts, strict=True)
        mixed = [self._mixed(group.cut(projected), part) for group, part in pairs]  # (G, width, D)
        return torch.cat([one.flatten(0, 1) for one in mixed])

    def _mixed(self, projected: Tensor, attention: Attention) -> Tensor:
        """(B, T, 3D) -> (B, T, D)."""
        rows, width, _ = projected.shape
        heads = projected.view(rows, width, 3, self.num_heads, -1)  # (B, T, 3, N, H)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, N, T, H)
        p = self.dropout if self.training else 0.0
        mixed = attention(query, key, value, p, self.kernel)  # (B, N, T, H)
        return mixed.transpose(1, 2).flatten(2)  # (B, T, D)


def chosen(hidden: Tensor, rows: Tensor | None) -> Tensor:
    """(B, T, D) or (S, D) -> (R, D), the ``rows`` (R,) of the flattened positions; None for all."""
    return hidden if rows is None else hidden.flatten(0, -2).index_select(0, rows)
