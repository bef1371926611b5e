"""Randomness without state: every number is a pure function of a seed, a stream name and an index.

Raw Philox blocks (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3") with our own
mapping to floats: numpy promises that the bit stream stays the same across versions, and promises
nothing of the kind for what ``Generator`` makes of it. Name a stream after its one purpose.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike, NDArray

_WORDS_PER_BLOCK = 8  # one Philox4x64 tick gives four 64-bit words = eight 32-bit words
_EPOCH_SHIFT = 192  # the epoch is the counter's highest word: 2^192 blocks lie between epochs


def uniform(seed: int, stream: str, first: int, rows: int, width: int) -> NDArray[np.float32]:
    """Rows ``first .. first + rows`` of a stream of numbers -> (rows, width) in [0, 1).

    They are the upper 24 of the ``bits`` of the same arguments.
    """
    # 24 bits fill a float32 exactly; more would round up to 1.0 now and then.
    numbers = (bits(seed, stream, first, rows, width) >> np.uint32(8)).astype(np.float32)
    numbers *= np.float32(2.0**-24)
    return numbers


def bits(seed: int, stream: str, first: int, rows: int, width: int) -> NDArray[np.uint32]:
    """Rows ``first .. first + rows`` of a stream of 32 random bits each -> (rows, width).

    For one ``width``, row ``first + r`` depends on nothing but (seed, stream, first + r): cutting a
    call in two, or spreading it over ranks, gives the same numbers.
    """
    blocks = -(-width // _WORDS_PER_BLOCK)  # per row, so that every row starts on a block
    key = _uniform_key(seed, stream)
    generator = np.random.Philox(key, counter=first * blocks)  # type: ignore[arg-type]
    raw = _raw(generator, rows * blocks * 4)
    drawn = raw.astype("<u8", copy=False).view("<u4").reshape(rows, blocks * _WORDS_PER_BLOCK)
    return drawn[:, :width]


def permutation(seed: int, stream: str, epoch: int, size: int) -> NDArray[np.int64]:
    """The order of ``size`` things in ``epoch`` -> (size,): each of 0 .. size - 1 once."""
    counter = epoch << _EPOCH_SHIFT
    generator = np.random.Philox(key=_key(seed, stream, b"permutation"), counter=counter)
    return np.argsort(_raw(generator, size), kind="stable")


def integer_seed(seed: int, stream: str, *index: int) -> int:
    """A 63-bit seed for a generator that keeps its own state, such as torch's."""
    name = "/".join([stream, *map(str, index)])
    return _key(seed, name, b"integer_seed") >> 65


def _raw(generator: np.random.Philox, size: int) -> NDArray[np.uint64]:
    return generator.random_raw(size)


class _PhiloxKey(ISeedSequence):
    """A key that Philox takes as it is; for one given as a number it first fetches entropy."""

    def __init__(self, key: int) -> None:
        self._halves = np.array([key & (2**64 - 1), key >> 64], dtype=np.uint64)

    def generate_state(
        self, n_words: int, dtype: DTypeLike = np.uint32
    ) -> NDArray[np.uint32 | np.uint64]:
        return self._halves


@lru_cache(maxsize=64)  # a run reads few streams, each of them at every step
def _uniform_key(seed: int, stream: str) -> _PhiloxKey:
    return _PhiloxKey(_key(seed, stream, b"uniform"))


def _key(seed: int, stream: str, purpose: bytes) -> int:
    """128 bits; ``purpose`` keeps two functions apart that are called with one stream name."""
    digest = hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=16, person=purpose)
    return int.from_bytes(digest.digest(), "little")
