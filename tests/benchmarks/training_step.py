"""A whole training step of Clozebox, beside what else a researcher would pick.

    python -m tests.benchmarks.training_step --size tiny [--full] [--precision bf16] [--memory]
    sh tests/benchmarks/training_step.sh            # the tables of the README

In one process, in rounds: each round times every subject and, as a probe of what the machine has
left over just then, a matrix product. Ratios are taken round by round. Before anything is timed,
loss and gradients are asserted to be those of Hugging Face's model.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

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
    model = ours.training.model
    lengths = ours.batch.attention_mask.sum(1).tolist()
    encoder = sum(model.encoder.flops(length) for length in lengths)
    heads = sum(
        float(one.count) * one.flops_each
        for objective in model.each_objective()
        for one in objective.targets(ours.batch).values()
    )
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
            f"{flops / middle / 1e9:6.0f} useful GFLOP/s  MFU {flops / middle / limit:5.2f}  "
            f"x{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
            flush=True,
        )


def peak_memory(load: Workload, name: str) -> float:
    """MiB that a process comes to hold which does three steps of one subject."""
    ours = Clozebox.of(load)
    step = ours.step if name == "clozebox" else peers(ours, (name,))[name]
    if name != "clozebox":
        for parameter in ours.training.model.parameters():
            parameter.data = parameter.data.new_empty(0)  # the peer has copied it
    for _ in range(3):
        step()
    if ours.numerics.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    # Not ru_maxrss: a process inherits that of the one that started it.
    told = Path("/proc/self/status").read_text()
    return float(told.split("VmHWM:")[1].split()[0]) / 2**10


def report_memory(names: tuple[str, ...]) -> None:
    for name in ("clozebox", *names):
        command = [sys.executable, "-m", "tests.benchmarks.training_step", *sys.argv[1:]]
        done = subprocess.run(
            [*command, "--peak", name], capture_output=True, text=True, check=True
        )
        print(f"  {name:16}{float(done.stdout.split()[-1]):9.0f} MiB at most", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--full", action="store_true", help="no padding")
    parser.add_argument("--vocabulary", type=int, default=30_522)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--products", choices=("auto", "torch"), default="auto")
    parser.add_argument("--peer-precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--peer-products", choices=("auto", "torch"), default="torch")
    parser.add_argument("--peer-dropout", type=float, help="as --dropout")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true", help="peak memory, each in a process")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--peak", choices=("clozebox", *PEERS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    load = Workload(
        size=given.size,
        sequences=given.sequences,
        length=given.length,
        padded=not given.full,
        vocabulary=given.vocabulary,
        dropout=given.dropout,
        precision=given.precision,
        peer_precision=given.peer_precision,
        device=given.device,
        products=given.products,
        peer_products=given.peer_products,
        peer_dropout=given.peer_dropout,
    )
    if given.peak:
        print(peak_memory(load, given.peak))
        return
    assert_same_arithmetic(load)
    measure(load, tuple(given.peers), given.rounds)
    if given.memory:
        report_memory(tuple(given.peers))


if __name__ == "__main__":
    main()
