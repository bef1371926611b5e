"""Attention and dropout on a CPU: Clozebox's, beside torch's.

    python -m tests.benchmarks.kernels

Forward and backward, interleaved. 32 sequences of 128 tokens in 4 heads of 64, a quarter of it
padding; dropout of 4096 x 512 numbers.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from clozebox.model import Attention
from clozebox.model.dropout import dropout

SEQUENCES, HEADS, TOKENS, WIDTH = 32, 4, 128, 64
Work = Callable[[], Tensor]


def seconds(work: Work) -> float:
    start = time.perf_counter()
    work().sum().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


def beside(title: str, ours: Work, torchs: Work, rounds: int) -> None:
    """Prints what each takes, and how many times as long torch's takes in the same round."""
    seconds(ours), seconds(torchs)  # what is only done once
    pairs = [(seconds(ours), seconds(torchs)) for _ in range(rounds)]
    mine, theirs = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = sorted(b / a for a, b in pairs)
    print(
        f"{title:28} {mine:6.1f} ms, torch's {theirs:6.1f} ms: x{statistics.median(ratio):.2f} "
        f"({ratio[0]:.2f} to {ratio[-1]:.2f})"
    )


def attention(dtype: torch.dtype, p: float, rounds: int) -> None:
    lengths = torch.linspace(TOKENS / 2, TOKENS, SEQUENCES).long()
    looks = Attention(torch.arange(TOKENS) < lengths[:, None])
    shape = (SEQUENCES, HEADS, TOKENS, WIDTH)
    query, key, value = (torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3))
    beside(
        f"attention, {str(dtype).removeprefix('torch.')}, dropout {p:g}",
        lambda: looks.in_products(query, key, value, p),
        lambda: F.scaled_dot_product_attention(query, key, value, looks.mask, p),
        rounds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for dtype in (torch.float32, torch.bfloat16):
        for p in (0.0, 0.1):
            attention(dtype, p, rounds)
    numbers = torch.randn(4096, 512, requires_grad=True)
    beside("dropout", lambda: dropout(numbers, 0.1), lambda: F.dropout(numbers, 0.1), rounds)


if __name__ == "__main__":
    main()
