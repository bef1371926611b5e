"""What the loop, the plugins and the record of a run cost, and how much memory a run takes.

    python -m tests.benchmarks.overhead

In one process, on one thread, in rounds: each round times every subject, so that whatever else the
machine does falls on all of them. The time is the processor's, of all threads, which does not run
while another process has it. Memory is the peak of a process that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from tests.benchmarks.peers import Clozebox, Workload

from clozebox.config import load_experiment
from clozebox.evaluation import Yardsticks
from clozebox.model import parameter_groups
from clozebox.pretraining.cross_entropy import cross_entropy
from clozebox.registry import load_registry
from clozebox.training import RunDirectory
from clozebox.training.budget import Plan, Spent
from clozebox.training.console import Console
from clozebox.training.loop import Keeping, Progress, settle, train
from clozebox.training.meter import Meter
from clozebox.training.record import Record, Silence
from clozebox.training.stopping import StopRequest

TINY = Workload()
NEXT_TO_NOTHING = replace(TINY, sequences=2, length=16, vocabulary=64)
"""A tiny model with so little to do that most of a step is calls."""
SMALL = Workload("small", sequences=16)
LOG_EVERY = 10
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
OURS = f"""
import torch
from tests.benchmarks.overhead import SMALL, as_the_loop
from tests.benchmarks.peers import Clozebox
torch.set_num_threads(2)
as_the_loop(Clozebox.of(SMALL), steps=4)
{PEAK}
"""
HUGGING_FACE = (
    """
import sys, torch
from transformers import BertConfig, BertForPreTraining
torch.set_num_threads(2)
shape, inputs = torch.load(sys.argv[1])
model = BertForPreTraining(BertConfig(**shape))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
for _ in range(4):
    model(**inputs).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
"""
    + PEAK
)
"""Four steps of each; the peak no longer grows after the second."""

Subject = Callable[[], object]


class After(StopRequest):
    """Stops the loop after so many steps, before it measures anything."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps

    def agree(self, world: object) -> None:
        self._left -= 1
        self.agreed = 2 if self._left == 0 else None


def as_the_loop(ours: Clozebox, steps: int) -> object:
    """So many steps of the real loop, and what they summed; nothing is measured or saved."""
    progress = Progress(Spent(), Plan(10 * steps, None), Meter())
    stream: Any = Again(ours)
    settings = ours.training.arm.train.model_copy(update={"log_every": 10 * steps, "evals": 1})
    arm = replace(ours.training.arm, train=settings)
    training, nothing = replace(ours.training, arm=arm, stream=stream), Yardsticks((), ())
    return train(
        training, progress, nothing, Silence(), Keeping(nothing_to_do, nothing_to_do), After(steps)
    )


def nothing_to_do() -> None: ...


class Again:
    """In place of the stream of examples: the same batch each time, its views made again."""

    def __init__(self, ours: Clozebox) -> None:
        self._ours = ours

    def batch(self, first: int, count: int, progress: float, *_: object) -> object:
        return self._ours.batch.part(0, count, progress, with_masks=False)


def by_hand(ours: Clozebox, steps: int) -> None:
    """The same steps on the same modules, as one would write them for this one model."""
    model, load, optim = ours.training.model, ours.load, ours.training.arm.optim
    mlm, nsp = (model.objectives.get_submodule(name) for name in ("mlm", "nsp"))
    optimizer = torch.optim.AdamW(
        parameter_groups(model, optim.weight_decay), lr=optim.lr, eps=optim.eps, fused=True
    )
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = optim.lr * step / steps
        view = ours.batch.part(0, load.sequences, 0.0, with_masks=False).masked
        embedded = model.embedding(view.input_ids, view.token_type_ids)
        hidden = model.encoder(embedded, view.attention)
        labels = view.labels.flatten()
        places = (labels != -100).nonzero().squeeze(1)
        tokens = mlm.head(hidden.flatten(0, 1)[places])  # type: ignore[operator]
        pairs = nsp.classifier(nsp.pooler(hidden))  # type: ignore[operator]
        assert view.pair_label is not None
        loss = cross_entropy(tokens, labels[places], -100).loss / len(places)
        loss = loss + cross_entropy(pairs, view.pair_label, -100).loss / load.sequences
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), optim.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def seconds(subject: Subject) -> float:
    start = time.process_time()
    subject()
    return time.process_time() - start


def steps_of(load: Workload, rounds: int, steps: int) -> tuple[list[float], list[float]]:
    """Seconds a step in each round: the loop's, and those written by hand."""
    ours, plain = Clozebox.of(load), Clozebox.of(load)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        found[0].append(seconds(lambda: as_the_loop(ours, steps)) / steps)
        found[1].append(seconds(lambda: by_hand(plain, steps)) / steps)
    return found[0][1:], found[1][1:]


def logging(folder: Path, rounds: int, reporters: Sequence[str], points: int = 20) -> list[float]:
    """Seconds of a log point in each round, from the device to TensorBoard's file."""
    (folder / "run.toml").write_text(
        'size = "tiny"\ncorpus = "python_docs"\nobjectives = ["mlm", "nsp"]\nmasking = "token"\n'
        f"budget.steps = 100\nreporters = {[*reporters]}\n"
    )
    experiment = load_experiment(folder / "run.toml", load_registry())
    arm, ours = experiment.arms[0], Clozebox.of(NEXT_TO_NOTHING)
    path = folder / "-".join(("run", *reporters))
    run = RunDirectory.create(path, experiment=experiment, arm=arm, seed=0, cache=folder)
    built = [one.build() for one in arm.reporters]
    spent, plan = Spent(), Plan(10**6, None)
    record = Record(run, arm, plan, spent, built, Console(StringIO()))
    progress = Progress(spent, plan, Meter())
    sums: Any = ours.step()
    found = []
    for _ in range(rounds + 1):
        for _ in range(points):
            progress.meter.add(sums)
            spent.step += 1
            start = time.process_time()
            settle(ours.training, progress)
            record.log(spent, progress.meter.take(), 1e-4)
            found.append(time.process_time() - start)
    record.finish("done", spent)
    each = [found[at : at + points] for at in range(0, len(found), points)]
    return [sum(times) / points for times in each[1:]]


def peak(code: str, *arguments: str) -> float:
    """MiB of a process of its own."""
    command = [sys.executable, "-c", code, *arguments]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=True)
    return float(done.stdout.split()[-1])


def memory(folder: Path) -> tuple[float, float]:
    """Of Clozebox and of Hugging Face, which learn from the same batch."""
    ours = Clozebox.of(SMALL)
    view = ours.batch.masked
    inputs = {
        "input_ids": view.input_ids,
        "token_type_ids": view.token_type_ids,
        "attention_mask": ours.batch.attention_mask.long(),
        "labels": view.labels,
        "next_sentence_label": view.pair_label,
    }
    torch.save((ours.training.model.shape.model_dump(), inputs), folder / "batch.pt")
    return peak(OURS), peak(HUGGING_FACE, str(folder / "batch.pt"))


def told(title: str, values: Sequence[float], unit: str, digits: int = 2) -> None:
    each = sorted(values)
    middle, least, most = (f"{x:.{digits}f}" for x in (statistics.median(each), each[0], each[-1]))
    print(f"  {title:30} {middle} ({least} to {most}) {unit}")


def tell_steps(rounds: int) -> float:
    """Prints what the loop adds; -> seconds of a tiny step."""
    loop, hand = steps_of(TINY, rounds, steps=3)
    step = statistics.median(hand)
    told("a tiny step by hand", [1e3 * t for t in hand], "ms")
    told("the loop / by hand", [a / b for a, b in zip(loop, hand, strict=True)], "", 3)
    loop, hand = steps_of(NEXT_TO_NOTHING, rounds, steps=60)
    more = [a - b for a, b in zip(loop, hand, strict=True)]
    told("next to nothing, by hand", [1e3 * t for t in hand], "ms")
    told("the loop takes more by", [1e3 * t for t in more], "ms")
    told("of a tiny step", [100 * t / step for t in more], "%")
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"processor time, one thread, medians of {rounds} interleaved rounds")
    step = tell_steps(rounds)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for reporters in ((), ("tensorboard",)):
            points = logging(folder, rounds, reporters)
            told(f"a log point, {[*reporters]}", [1e3 * t for t in points], "ms")
            share = [100 * t / LOG_EVERY / step for t in points]
            told(f"of {LOG_EVERY} tiny steps", share, "%", 3)
        ours, peer = memory(folder)
    peaks = f"{ours:.0f} MiB, Hugging Face {peer:.0f} MiB: {ours / peer:.2f}"
    print(f"peak of small 16x128 after four steps: {peaks}")


if __name__ == "__main__":
    main()
