"""What stands in the place of a chosen token (Devlin et al., 2019, section 3.1).

B sequences, T tokens, M chosen tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.data import Vocabulary


class Split(NamedTuple):
    """Of the chosen, ``mask_share`` become [MASK], ``random_share`` another token; the rest stay.

    A random token is uniform over the ordinary ones; BERT's own code can also insert special
    tokens, a slip not kept here.
    """

    mask_share: float
    random_share: float
    mask_id: int
    ordinary_ids: Tensor  # on the host

    @classmethod
    def of(cls, config: MaskingConfig, vocabulary: Vocabulary) -> Split:
        """The split that the settings ask for."""
        ordinary_ids = torch.from_numpy(vocabulary.ordinary_ids)
        return cls(config.mask_share, config.random_share, vocabulary.mask_id, ordinary_ids)


def corrupted(
    input_ids: Tensor, chosen: Tensor, fate: Tensor, replacement: Tensor, split: Split
) -> Tensor:
    """What the encoder is shown, (B, T).

    input_ids, chosen (bool), and two numbers in [0, 1) for each token: fate decides what becomes of
    it, replacement which token a random one is; each (B, T).
    """
    on_host = input_ids.device.type == "cpu"
    return (_corrupted_on_host if on_host else _corrupted)(
        input_ids, chosen, fate, replacement, split
    )


def _corrupted(
    input_ids: Tensor, chosen: Tensor, fate: Tensor, replacement: Tensor, split: Split
) -> Tensor:
    masked = chosen & (fate < split.mask_share)
    randomised = chosen & ~masked & (fate < split.mask_share + split.random_share)
    ordinary = split.ordinary_ids.to(input_ids.device, non_blocking=True)
    pick = (replacement * len(ordinary)).long()  # (B, T)
    shown = torch.where(randomised, ordinary[pick], input_ids)
    return shown.masked_fill(masked, split.mask_id)


def _corrupted_on_host(
    input_ids: Tensor, chosen: Tensor, fate: Tensor, replacement: Tensor, split: Split
) -> Tensor:
    """The same in numpy, and only where something is chosen: a tenth of the time on a CPU."""
    shown = input_ids.numpy().flatten()  # (B*T,), a copy
    place = np.flatnonzero(chosen.numpy())  # (M,), into the flattened ones
    number = fate.numpy().take(place)  # (M,)
    masked = number < split.mask_share
    randomised = place[~masked & (number < split.mask_share + split.random_share)]
    ordinary = split.ordinary_ids.numpy()
    pick = (replacement.numpy().take(randomised) * len(ordinary)).astype(np.int64)
    shown[randomised] = ordinary[pick]
    shown[place[masked]] = split.mask_id
    return torch.from_numpy(shown.reshape(input_ids.shape))  # (B, T)
