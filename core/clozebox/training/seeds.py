"""The global generators, re-seeded before each use so that nothing depends on what ran before."""

from __future__ import annotations

import random

import numpy
import torch

from clozebox.data import integer_seed


def seed_globals(seed: int, stream: str, *index: int) -> None:
    """Make dropout, and what a plugin draws from a global generator, a function of these alone."""
    value = integer_seed(seed, stream, *index)
    torch.manual_seed(value)
    random.seed(value)
    numpy.random.seed(value % 2**32)
