"""Units: tokens in a row that are chosen together, such as the pieces of a word.

B sequences, T tokens, U units that are tried.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from clozebox.data import Vocabulary
from clozebox.pretraining import Batch, number_to_choose, numbers_to_choose

_NEVER = 0xFFFF
"""The size of what is no unit: it never fits."""
_LAST_PLACE = 0xFFFF
_NO_UNIT = np.iinfo(np.int64).max

Array = TypeVar("Array", Tensor, np.ndarray)
"""On a device torch computes, on the host numpy: its small operations cost a third of torch's."""


def word_starters(vocabulary: Vocabulary) -> Tensor:
    """(V,) bool: which ids begin a word, and do not continue one."""
    table = torch.ones(vocabulary.size, dtype=torch.bool)
    table[list(vocabulary.continuation_ids)] = False
    return table


def word_begins(batch: Batch, starters: Tensor) -> Tensor:
    """(B, T) bool: True where a word begins. A special token is a word of its own.

    The token after a special one begins a word whatever piece it is: what comes before was cut off.
    """
    ids, special = batch.input_ids, batch.special_tokens_mask
    if ids.device.type == "cpu":
        return torch.from_numpy(_begins(starters.numpy(), ids.numpy(), special.numpy()))
    return _begins(starters.to(ids.device, non_blocking=True), ids, special)


def _begins(starters: Array, ids: Array, special: Array) -> Array:
    begins: Array = starters[ids]  # (B, T)
    begins[:, 1:] |= special[:, :-1]
    begins[:, 0] = True
    return begins


def first_tokens(begins: Tensor) -> Tensor:
    """begins (B, T) bool -> (B, T): where the unit of each token begins."""
    place = torch.arange(begins.shape[1], device=begins.device)
    return torch.where(begins, place, 0).cummax(dim=1).values


def choose_whole(score: Tensor, begins: Tensor, batch: Batch, rate: float) -> Tensor:
    """The lowest-scored units of each sequence, never one in part, and never too many tokens.

    score (B, T), ``batch.bits``; begins (B, T) bool -> chosen (B, T) bool. The score of a unit is
    that of its first token. As in BERT, units are taken in the order of their scores, and one that
    would exceed the number is passed over; what is left in the end is filled with units of one
    token.
    """
    # More than can be taken, lest long ones leave a gap; and a number that no data decides.
    tried = number_to_choose(begins.shape[1], rate) + 16
    whole = _whole_on_host if score.device.type == "cpu" else _whole
    return whole(score, begins, batch.special_tokens_mask, numbers_to_choose(batch, rate), tried)


def _whole(score: Tensor, begins: Tensor, special: Tensor, number: Tensor, tried: int) -> Tensor:
    first = first_tokens(begins)  # (B, T)
    size = torch.zeros_like(first).scatter_add(1, first, (~special).long())  # 0 where none begins
    no_unit = size == 0
    order = score.double().masked_fill(no_unit, torch.inf).argsort(dim=1, stable=True)
    order = order[:, :tried]  # (B, U)
    size = size.masked_fill(no_unit, _NEVER).gather(1, order)  # (B, U)
    taken = _fitting(size, number)
    return torch.zeros_like(begins).scatter(1, order, taken).gather(1, first)


def _fitting(size: Tensor, number: Tensor) -> Tensor:
    """Sizes of units (B, U), tried in this order; number (B, 1) -> taken (B, U) bool."""
    left, taken = number, torch.zeros_like(size, dtype=torch.bool)
    for single in _TRIES:
        fits = (size <= (1 if single else left)) & ~taken
        fits &= (size * fits).cumsum(1) <= left
        left = left - (size * fits).sum(1, keepdim=True)
        taken = taken | fits
    return taken


def _whole_on_host(
    score: Tensor, begins: Tensor, special: Tensor, number: Tensor, tried: int
) -> Tensor:
    length, total = begins.shape[1], begins.numel()
    is_unit = begins.numpy() & ~special.numpy()
    at = np.flatnonzero(begins.numpy())  # (units,): a place in the B*T tokens
    size = np.empty(total, dtype=np.int64)
    size[at] = np.diff(at, append=total)
    # One number a unit, to sort by: its score, then where it begins, so that ties fall to the
    # earlier one.
    unit = score.numpy().astype(np.int64)  # (B, T)
    unit <<= 16
    unit |= np.arange(length)
    unit[~is_unit] = _NO_UNIT
    unit.sort(axis=1)
    unit = unit[:, :tried]  # (B, U)
    row = np.arange(0, total, length)[:, None]  # (B, 1)
    begin = row + (unit & _LAST_PLACE)  # (B, U)
    size = size.take(begin, mode="clip")
    size[unit == _NO_UNIT] = _NEVER
    taken = _fitting_on_host(size, number.numpy())
    begin, size = begin[taken], size[taken]
    before = size.cumsum() - size
    chosen = np.zeros(total, dtype=np.bool_)
    chosen[np.repeat(begin - before, size) + np.arange(size.sum())] = True
    return torch.from_numpy(chosen.reshape(begins.shape))


def _fitting_on_host(size: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The same, and after the first try only for the R rows that have room left."""
    taken = size <= number
    cost = size * taken
    taken &= cost.cumsum(1) <= number
    left = number[:, 0] - (cost * taken).sum(1)  # (B,)
    for single in _TRIES[1:]:
        rows = np.flatnonzero(left)  # (R,)
        cost, room = size[rows], left[rows, None]  # (R, U), (R, 1)
        fits = (cost <= (1 if single else room)) & ~taken[rows]
        cost *= fits
        fits &= cost.cumsum(1) <= room
        left[rows] -= (cost * fits).sum(1)
        taken[rows] |= fits
    return taken


_TRIES = (False, False, True)
"""What is passed over may leave room, and in the end a single token fits."""
