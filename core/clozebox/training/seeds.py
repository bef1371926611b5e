"""The global generators, re-seeded for each step so that nothing depends on what ran before."""

from __future__ import annotations

import random

import numpy
import torch

from clozebox.data import integer_seed


def seed_step(seed: int, step: int, micro_batch: int = 0) -> None:
    """Dropout, and what a plugin draws from a global generator, become functions of the step."""
    value = integer_seed(seed, "step", step, micro_batch)
    torch.manual_seed(value)
    random.seed(value)
    numpy.random.seed(value % 2**32)
