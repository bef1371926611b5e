"""What a model and a masking strategy must know about the ids, without the tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Vocabulary:
    """``size`` ids, some of which are special."""

    size: int
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int
    special_ids: tuple[int, ...]
    """Every special id, sorted: the five above and any other the tokenizer declares."""
    continuation_ids: tuple[int, ...] = ()
    """Ids of pieces that continue a word (``##ing``), sorted; whole-word strategies need them."""

    @property
    def ordinary_ids(self) -> NDArray[np.int64]:
        """Every id that is not special, sorted: what a random replacement is drawn from."""
        return np.setdiff1d(np.arange(self.size), np.array(self.special_ids, dtype=np.int64))
