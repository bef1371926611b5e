"""What the data costs: beside a tiny training step, beside the tokenizer alone, in a large store.

    python -m tests.benchmarks.data_path

In one process, on one thread, in rounds: each round times every subject, so that whatever else the
machine does falls on all of them, and a ratio is that of one round. The time is the processor's,
which does not run while another process has it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tests.benchmarks.peers import Clozebox, Workload, vocabulary_of
from tokenizers import Tokenizer

from clozebox.config.settings import TokenizerSettings
from clozebox.data import Document, TokenStore, make_examples
from clozebox.data.store_writer import write_store
from clozebox.data.token_store import TOKENIZER, write_manifest
from clozebox.data.tokenizer import train_tokenizer
from clozebox.registry import load_registry
from clozebox.training.batches import BLOCK, Batches
from clozebox.training.step import train_step

SMALL, TIMES = 300_000, 100
"""Tokens of the small store, and how many times as many the large one has."""
SENTENCE, DOCUMENT = 25, 40
"""Tokens of a sentence at the most, and sentences of a document."""
BATCH = 10_000
"""Sentences that the tokenizer alone is given at once."""

Subject = Callable[[], object]


class Pair(NamedTuple):
    """Seconds of two subjects in each round."""

    ours: list[float]
    peer: list[float]

    @property
    def ratios(self) -> list[float]:
        """Round by round, from the least to the most."""
        return sorted(a / b for a, b in zip(self.ours, self.peer, strict=True))


def timed(ours: Subject, peer: Subject, rounds: int, repeats: tuple[int, int] = (1, 1)) -> Pair:
    """Seconds a call of either, after one round that is not counted."""
    found = Pair([], [])
    for _ in range(rounds + 1):
        for subject, times, repeat in zip((ours, peer), found, repeats, strict=True):
            start = time.process_time()
            for _ in range(repeat):
                subject()
            times.append((time.process_time() - start) / repeat)
    return Pair(found.ours[1:], found.peer[1:])


def random_store(folder: Path, tokens: int, vocabulary: int = 30_522) -> TokenStore:
    """A store of about so many random tokens, in sentences and documents."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, SENTENCE + 1, 2 * tokens // SENTENCE)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    documents = np.append(np.arange(0, len(lengths), DOCUMENT), len(lengths))
    generator.integers(5, vocabulary, ends[-1], dtype="<u2").tofile(folder / "tokens.bin")
    ends.astype("<i8").tofile(folder / "sentence_offsets.bin")
    documents.astype("<i8").tofile(folder / "document_offsets.bin")
    dtypes = {"tokens": "<u2", "sentence_offsets": "<i8", "document_offsets": "<i8"}
    write_manifest(folder, "random", vocabulary_of(vocabulary), dtypes, {})
    return TokenStore(folder)


def wait(folder: Path, rounds: int) -> Pair:
    """Fetching and masking a batch, and the step that learns from it.

    A batch is measured over whole blocks, for a block is fetched and masked at once.
    """
    ours = Clozebox.of(Workload())
    store = random_store(folder / "store", SMALL)
    documents = store.split(0.1).train
    examples = make_examples("pair", store, documents, ours.load.length, 0.1, seed=0)
    masking, device = ours.training.masking, ours.numerics.device
    stream = Batches(examples, store.vocabulary, masking, 0, device)
    training = replace(ours.training, store=store, stream=stream)
    objectives = training.model.named(training.arm.objectives_at(0.0))
    step = itertools.count()

    def fetch() -> object:
        return [batch.masked for batch in training.batches(next(step))]

    first = training.batches(0)
    assert first[0].masked is not None
    block = BLOCK // ours.load.sequences
    return timed(fetch, lambda: train_step(training, objectives, first), rounds, (4 * block, 2))


def tokenising(documents: Sequence[Document], folder: Path, rounds: int) -> Pair:
    """A token store of these documents, and `encode_batch` alone of the same sentences."""
    settings = TokenizerSettings()
    file = folder / TOKENIZER
    sentences = [sentence for document in documents for sentence in document]
    train_tokenizer(settings, lambda: iter(sentences)).save(str(file))
    alone = Tokenizer.from_file(str(file))
    places = itertools.count()

    def store() -> None:
        place = folder / f"store-{next(places)}"
        place.mkdir()
        write_store(place, file, documents, "benchmark", lambda message: None)

    def encode() -> None:
        for begin in range(0, len(sentences), BATCH):
            alone.encode_batch(sentences[begin : begin + BATCH], add_special_tokens=False)

    return timed(store, encode, rounds)


def reading(folder: Path, rounds: int, times: int = TIMES) -> tuple[Pair, Mapping[str, float]]:
    """Seconds a row from the large store and from the small one; bytes a token of each."""
    subjects, weights = [], {}
    for name, tokens in (("large", times * SMALL), ("small", SMALL)):
        store = random_store(folder / name, tokens)
        documents = np.arange(store.num_documents)
        examples = make_examples("single", store, documents, 128, 0.0, seed=0)
        subjects.append(_rows(examples.rows, len(examples)))
        size = sum(file.stat().st_size for file in store.path.glob("*.bin"))
        weights[name] = size / store.num_tokens
    large, small = subjects
    found = timed(large, small, rounds, (40, 40))
    return Pair([t / BLOCK for t in found.ours], [t / BLOCK for t in found.peer]), weights


def _rows(rows: Callable[[int, int], object], length: int) -> Subject:
    """A block of rows, the next one each time, from all over the store."""
    first = itertools.cycle(range(0, length - BLOCK, BLOCK))
    return lambda: rows(next(first), BLOCK)


def english(copies: int) -> list[Document]:
    """The documentation of Python, some times over."""
    config = load_registry().get("corpus", "python_docs")
    return [*config().build().documents()] * copies


def shown(values: Iterable[float], digits: int = 2) -> str:
    each = sorted(values)
    middle = statistics.median(each)
    return f"{middle:.{digits}f} ({each[0]:.{digits}f} to {each[-1]:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    os.environ["RAYON_NUM_THREADS"] = "1"
    print(f"processor time, one thread, medians of {rounds} interleaved rounds")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        waited = wait(folder, rounds)
        print(f"  a batch of 32x128, masked   {shown(1e6 * t for t in waited.ours)} us")
        print(f"  a tiny step, V = 30,522     {shown(1e3 * t for t in waited.peer)} ms")
        print(f"  batch / step                {shown((100 * r for r in waited.ratios), 3)} %")
        documents = english(4)
        characters = sum(len(sentence) for one in documents for sentence in one)
        stored = tokenising(documents, folder, rounds)
        for name, times in zip(("text to store", "encode_batch alone"), stored, strict=True):
            print(f"  {name:27} {shown(characters / t / 1e6 for t in times)} M characters/s")
        print(f"  its share of that speed     {shown(1 / r for r in stored.ratios)}")
        read, weights = reading(folder, rounds)
        for name, times in zip(("large", "small"), read, strict=True):
            rate = shown((1e-6 / t for t in times), 3)
            print(f"  {name} store{'':16} {rate} M rows/s, {weights[name]:.3f} bytes a token")
        print(f"  large / small, time a row   {shown(read.ratios)}")


if __name__ == "__main__":
    main()
