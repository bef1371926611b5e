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
from clozebox.pretraining.view import IGNORE_INDEX

_STEP = 2.0**-32
"""Makes 32 random bits a number in [0, 1)."""


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
    input_ids: Tensor, chosen: Tensor, bits: Tensor, split: Split, fate: Tensor | None = None
) -> Tensor:
    """What the encoder is shown, (B, T).

    input_ids, chosen (bool), and 32 random ``bits`` for each token (uint32); each (B, T). Where
    among the shares such a number falls decides what becomes of the token, and where *within* the
    share of the random ones it falls, which token that is. Tokens that are to share their fate are
    given a ``fate`` (B, T) in [0, 1), which then decides instead.
    """
    on_host = input_ids.device.type == "cpu"
    return (_corrupted_on_host if on_host else _corrupted)(input_ids, chosen, bits, split, fate)


def labels_at(input_ids: Tensor, predicted: Tensor) -> Tensor:
    """The original tokens where they are ``predicted`` (bool), IGNORE_INDEX elsewhere: (B, T)."""
    if input_ids.device.type != "cpu":
        return input_ids.where(predicted, IGNORE_INDEX)
    place = np.flatnonzero(predicted.numpy())  # (M,)
    labels = np.full(input_ids.numel(), IGNORE_INDEX)  # (B*T,)
    labels[place] = input_ids.numpy().take(place)
    return torch.from_numpy(labels.reshape(input_ids.shape))


# What is done at every step exists twice: for a device, and in numpy for the host, where torch's
# small operations cost three times as much. A test holds both to the same bits.


def _corrupted(
    input_ids: Tensor, chosen: Tensor, bits: Tensor, split: Split, fate: Tensor | None
) -> Tensor:
    number = bits.double() * _STEP  # (B, T)
    decides = number if fate is None else fate
    masked = chosen & (decides < split.mask_share)
    randomised = chosen & ~masked & (decides < split.mask_share + split.random_share)
    if fate is None:
        number = (number - split.mask_share) / (split.random_share or 1.0)
    ordinary = split.ordinary_ids.to(input_ids.device, non_blocking=True)
    pick = (number * len(ordinary)).clamp(0, len(ordinary) - 1).long()  # (B, T)
    shown = torch.where(randomised, ordinary[pick], input_ids)
    return shown.masked_fill(masked, split.mask_id)


def _corrupted_on_host(
    input_ids: Tensor, chosen: Tensor, bits: Tensor, split: Split, fate: Tensor | None
) -> Tensor:
    """The same in numpy, and only where something is chosen: a tenth of the time on a CPU."""
    shown = input_ids.numpy().flatten()  # (B*T,), a copy
    place = np.flatnonzero(chosen.numpy())  # (M,), into the flattened ones
    number = bits.numpy().take(place) * _STEP  # (M,)
    decides = number if fate is None else fate.numpy().take(place)
    masked = decides < split.mask_share
    randomised = ~masked & (decides < split.mask_share + split.random_share)
    number = number[randomised]  # as many as become another token
    if fate is None:
        number = (number - split.mask_share) / (split.random_share or 1.0)
    ordinary = split.ordinary_ids.numpy()
    pick = np.minimum(number * len(ordinary), len(ordinary) - 1).astype(np.int64)
    shown[place[randomised]] = ordinary[pick]
    shown[place[masked]] = split.mask_id
    return torch.from_numpy(shown.reshape(input_ids.shape))  # (B, T)
