"""Bugs of neither a masking strategy nor an objective, and what finds them here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.museum.exhibit import exhibit, found_by
from torch import Tensor

from clozebox.components import CorpusConfig, EvaluationTaskConfig, ReporterConfig
from clozebox.config.settings import TokenizerSettings
from clozebox.data import Corpus, make_examples, prepare
from clozebox.errors import UserError
from clozebox.evaluation import EvaluationTask, HeldOut
from clozebox.pretraining import PretrainingModel
from clozebox.registry import load_registry
from clozebox.training import Reporter


@found_by("plugins list", "ltg-bert, evaluation/blimp/blimp.py", 4)
def a_module_that_is_not_there(seed: int) -> str | None:
    """An evaluation imports a module that its folder lacks: nobody had run it there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"blimp_{seed}.py"
        path.write_text("from deberta import Deberta\n")
        [plugin] = [p for p in load_registry(paths=[path]).plugins if p.name == path.stem]
    return plugin.cause if plugin.state == "broken" else None


@exhibit("ends", "gpt-bert, train_multi_gpu.py", 5)
class TheFirstSaveFails(ReporterConfig):
    """``path.replace(".bin", "_ema.bin")``, where ``path`` is no longer text but a Path.

    There it is the checkpoint that is not written; here checkpoints are the core's, and the nearest
    that a plugin can come to it is a reporter, which writes when a run ends.
    """

    name = "the_first_save_fails"

    def build(self) -> Reporter:
        return Weights()


class Weights(Reporter):
    def start(self, run: Any, arm: Any, first_step: int) -> None:
        self.path: Any = run.path / "weights.bin"

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        pass

    def finish(self, state: str, result: Mapping[str, float]) -> None:
        Path(self.path.replace(".bin", "_ema.bin")).touch()


@exhibit("numbers", "EuroBERT, optimus/trainer", 11)
class ValidationWithoutData(EvaluationTaskConfig):
    """``run_validation`` is True by default, and ``eval_dataloader`` is None."""

    name = "validation_without_data"

    def build(self) -> EvaluationTask:
        return Validation()


class Validation(EvaluationTask):
    batches: Any = None

    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        losses = [float(batch.loss) for batch in self.batches]
        return {"loss": sum(losses) / len(losses)}


@exhibit("ties", "BLiMP in lm_eval, api/task.py", 16)
class TheFirstOfEquals(EvaluationTaskConfig):
    """Of two sentences the good one comes first, and ``argmax`` gives the first of equals."""

    name = "the_first_of_equals"

    def build(self) -> EvaluationTask:
        return MinimalPairs()


class MinimalPairs(EvaluationTask):
    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        [batch] = held_out.batches(8)
        good, bad = batch.input_ids, batch.input_ids.flip(1)
        scores = torch.stack([self.score(model, batch, ids) for ids in (good, bad)])  # (2, B)
        return {"blimp_accuracy": (scores.argmax(0) == 0).float().mean().item()}

    @torch.no_grad()
    def score(self, model: PretrainingModel, batch: Any, ids: Tensor) -> Tensor:
        """(B,): any number that a model gives a sentence."""
        embedded = model.embedding(ids, batch.token_type_ids)
        hidden: Tensor = model.encoder(embedded, batch.plain.attention)
        return hidden[:, 0, 0]


class Given(CorpusConfig):
    """Documents of so many sentences each."""

    name = "given"
    documents: int
    sentences: int
    seed: int

    def build(self) -> Corpus:
        return GivenText(self)


class GivenText(Corpus):
    def __init__(self, given: Given) -> None:
        self.given = given

    def documents(self) -> Iterator[list[str]]:
        for number in range(self.given.documents):
            words = [f"word{self.given.seed + number + n}" for n in range(self.given.sentences + 1)]
            yield [f"{one} and {other}." for one, other in pairwise(words)]

    def fingerprint(self) -> str:
        return str(self.given)


@found_by("examples", "google bert, create_pretraining_data.py", 12)
def one_document(seed: int) -> str | None:
    """Ten tries to find another document fail, and the pair is labelled as random all the same."""
    return refusal(Given(documents=1, sentences=40, seed=seed))


@found_by("examples", "google bert, create_pretraining_data.py", 12)
def documents_of_one_sentence(seed: int) -> str | None:
    """Nothing has a true next sentence, and every pair is labelled as random."""
    return refusal(Given(documents=40, sentences=1, seed=seed))


def refusal(corpus: CorpusConfig) -> str | None:
    """What is said when sentence pairs are to be made of it."""
    with tempfile.TemporaryDirectory() as folder:
        store = prepare(corpus, TokenizerSettings(vocab_size=100), Path(folder))
        try:
            make_examples("pair", store, np.arange(store.num_documents), 24, 0.1, seed=0)
        except UserError as error:
            return str(error)
    return None
