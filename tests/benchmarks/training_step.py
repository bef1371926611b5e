"""A whole training step of Clozebox, beside what else a researcher would pick.

    python -m tests.benchmarks.training_step --size tiny [--full] [--precision bf16] [--peers ...]

In one process, in rounds: each round times every subject and, as a probe of what the machine has
left over just then, a matrix product. Ratios are taken round by round. Before anything is timed,
loss and gradients are asserted to be those of Hugging Face's model.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping

import torch
from tests.benchmarks.peers import Clozebox, Step, Workload, assert_same_arithmetic, peers

PEERS = ("hugging_face", "torch", "x_transformers")
PROBE = 2048
"""The side of the matrices whose product is the probe."""


def seconds(step: Step, device: torch.device, repeats: int) -> float:
    """A step takes so long, on average of ``repeats``."""
    _settle(device)
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    _settle(device)
    return (time.perf_counter() - start) / repeats


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def probe(load: Workload) -> Step:
    kind = torch.bfloat16 if load.precision == "bf16" else torch.float32
    left, right = (torch.randn(PROBE, PROBE, device=load.device, dtype=kind) for _ in range(2))
    return lambda: left @ right


def useful_flops(ours: Clozebox) -> float:
    """Forward and backward of the real tokens, the vocabulary at predicted positions only."""
    model, view = ours.training.model, ours.batch.masked
    lengths = ours.batch.attention_mask.sum(1).tolist()
    encoder = sum(model.encoder.flops(length) for length in lengths)
    heads = sum(
        float(one.count) * one.flops_each
        for objective in model.each_objective()
        for one in objective.targets(ours.batch).values()
    )
    assert view is ours.batch.masked
    return 3 * (encoder + heads)


def measure(load: Workload, names: tuple[str, ...], rounds: int) -> Mapping[str, list[float]]:
    """Seconds a step of each subject in each round, ``gemm`` for the probe's FLOP/s."""
    ours = Clozebox.of(load)
    device = ours.numerics.device
    steps: dict[str, Step] = {"clozebox": ours.step, **peers(ours, names)}
    product = probe(load)
    repeats = {}
    for name, step in steps.items():
        step()
        repeats[name] = max(1, round(0.5 / seconds(step, device, 2)))
    found: dict[str, list[float]] = {name: [] for name in (*steps, "gemm")}
    for _ in range(rounds):
        for name, step in steps.items():
            found[name].append(seconds(step, device, repeats[name]))
        product()  # what is only done once
        found["gemm"].append(2 * PROBE**3 / seconds(product, device, 5))
    tokens = int(ours.batch.attention_mask.sum())
    report(load, found, tokens, useful_flops(ours))
    return found


def report(load: Workload, found: Mapping[str, list[float]], tokens: int, flops: float) -> None:
    limit = statistics.median(found["gemm"])
    print(f"{load.label}; GEMM {limit / 1e9:.0f} GFLOP/s")
    for name, times in found.items():
        if name == "gemm":
            continue
        middle = statistics.median(times)
        ratios = sorted(a / b for a, b in zip(times, found["clozebox"], strict=True))
        print(
            f"  {name:16}{1e3 * middle:9.1f} ms  {tokens / middle:9.0f} real tokens/s  "
            f"MFU {flops / middle / limit:5.2f}  x{statistics.median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--full", action="store_true", help="no padding")
    parser.add_argument("--vocabulary", type=int, default=30_522)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--peer-precision", choices=("fp32", "bf16"), help="as --precision")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    load = Workload(
        given.size,
        given.sequences,
        given.length,
        not given.full,
        given.vocabulary,
        given.dropout,
        given.precision,
        given.peer_precision or given.precision,
        given.device,
    )
    assert_same_arithmetic(load)
    measure(load, tuple(given.peers), given.rounds)


if __name__ == "__main__":
    main()
