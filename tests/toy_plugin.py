"""A small plugin of every kind that core's own tests need, so that none of them needs plugins/.

Its sizes are pairwise different, so that a swapped axis cannot pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from clozebox import (
    CorpusConfig,
    EmbeddingConfig,
    EncoderConfig,
    EvaluationTaskConfig,
    MaskingConfig,
    ModelShape,
    ObjectiveConfig,
    ReporterConfig,
    SizePreset,
    TokenObjectiveConfig,
    hookimpl,
)


class ToyEmbedding(EmbeddingConfig):
    name: ClassVar[str] = "toy"
    dropout: float = 0.0

    def build(self, shape: ModelShape) -> Any:
        from clozebox.model import BertEmbedding

        return BertEmbedding(shape, self.dropout)


class ToyEncoder(EncoderConfig):
    name: ClassVar[str] = "toy"
    dropout: float = 0.0

    def build(self, shape: ModelShape) -> Any:
        from clozebox.model import BertEncoder

        return BertEncoder(shape, self.dropout, self.dropout)


class ToyMasking(MaskingConfig):
    name: ClassVar[str] = "toy"

    def build(self, text: Any) -> Any:
        from clozebox.pretraining import MaskingStrategy, choose_exactly

        class Toy(MaskingStrategy):
            def choose(self, batch: Any, rate: float) -> Any:
                return choose_exactly(batch.uniform("choice"), batch, rate)

        return Toy(self, text.vocabulary)


def _token_objective(view_name: str, config: Any, context: Any, step: int) -> Any:
    from clozebox.pretraining import TokenObjective, only_targets

    class Toy(TokenObjective):
        def view(self, batch: Any) -> Any:
            return getattr(batch, view_name)

        def cloze(self, batch: Any, chosen: Any) -> Any:
            return only_targets(self.view(batch), chosen, step) if step else batch.hide(chosen)

    return Toy(config, context)


class ToyMasked(TokenObjectiveConfig):
    name: ClassVar[str] = "hidden"
    needs_masking: ClassVar[bool] = True

    def build(self, context: Any) -> Any:
        return _token_objective("masked", self, context, 0)


class ToyForward(TokenObjectiveConfig):
    name: ClassVar[str] = "ahead"

    def build(self, context: Any) -> Any:
        return _token_objective("causal", self, context, +1)


class ToyBackward(TokenObjectiveConfig):
    name: ClassVar[str] = "behind"

    def build(self, context: Any) -> Any:
        return _token_objective("anticausal", self, context, -1)


class ToyPair(ObjectiveConfig):
    name: ClassVar[str] = "pair"
    example: ClassVar[Any] = "pair"

    def build(self, context: Any) -> Any:
        from torch import nn

        from clozebox.model import head_flops
        from clozebox.pretraining import Objective, Targets, class_term

        class Pair(Objective):
            def __init__(self) -> None:
                super().__init__()
                self.classifier = nn.Linear(context.shape.hidden_size, 2)

            def view(self, batch: Any) -> Any:
                return batch.plain if batch.masking is None else batch.masked

            def targets(self, batch: Any) -> Any:
                rows = batch.input_ids.new_full((), len(batch.input_ids))
                return {self.name: Targets(rows, classes=2, flops_each=head_flops(self))}

            def forward(self, hidden: Any, view: Any) -> Any:
                return {self.name: class_term(self.classifier(hidden[:, 0]), view.pair_label)}

        return Pair()


class ToyCorpus(CorpusConfig):
    """Forty documents of sentences in which each word says which one follows."""

    name: ClassVar[str] = "toy"
    documents: int = 40

    def build(self) -> Any:
        from clozebox.data import Corpus

        count = self.documents

        class Words(Corpus):
            def documents(self) -> Iterator[list[str]]:
                for document in range(count):
                    yield [
                        " ".join(
                            WORDS[(document + 3 * sentence + word) % len(WORDS)]
                            for word in range(4 + (document + sentence) % 5)
                        )
                        for sentence in range(5 + document % 4)
                    ]

            def fingerprint(self) -> str:
                return f"toy-{count}"

        return Words()


WORDS = [
    "ash",
    "bay",
    "cob",
    "dew",
    "elm",
    "fir",
    "gum",
    "hay",
    "ivy",
    "jet",
    "kin",
    "log",
    "map",
    "nut",
    "oak",
    "pea",
    "rye",
    "sap",
    "tar",
    "urn",
]


class ToyEvaluation(EvaluationTaskConfig):
    name: ClassVar[str] = "own_losses"
    sequences: int = 30

    def build(self) -> Any:
        from clozebox.evaluation import EvaluationTask, mean_losses

        sequences = self.sequences

        class OwnLosses(EvaluationTask):
            def evaluate(self, model: Any, held_out: Any) -> dict[str, float]:
                batches = held_out.batches(sequences, own=True)
                return mean_losses(model, batches, held_out.numerics)

        return OwnLosses()


class ToyReporter(ReporterConfig):
    """Writes what it is told into the run's folder, one line for each call."""

    name: ClassVar[str] = "told"

    def build(self) -> Any:
        from clozebox.training import Reporter

        class Told(Reporter):
            def start(self, run: Any, arm: Any, first_step: int) -> None:
                self.path = run.path / "told.txt"
                self.tell(f"start {first_step}")

            def log(self, step: int, metrics: Any) -> None:
                self.tell(f"log {step} {' '.join(sorted(metrics))}")

            def finish(self, state: str, result: Any) -> None:
                self.tell(f"finish {state}")

            def tell(self, line: str) -> None:
                with self.path.open("a") as file:
                    file.write(line + "\n")

        return Told()


@hookimpl
def register_size_presets() -> list[SizePreset]:
    return [
        SizePreset(
            name="toy",
            num_hidden_layers=2,
            hidden_size=24,
            num_attention_heads=3,
            intermediate_size=40,
        )
    ]


@hookimpl
def register_embeddings() -> list[type[EmbeddingConfig]]:
    return [ToyEmbedding]


@hookimpl
def register_encoders() -> list[type[EncoderConfig]]:
    return [ToyEncoder]


@hookimpl
def register_masking_strategies() -> list[type[MaskingConfig]]:
    return [ToyMasking]


@hookimpl
def register_objectives() -> list[type[ObjectiveConfig]]:
    return [ToyMasked, ToyForward, ToyBackward, ToyPair]


@hookimpl
def register_corpora() -> list[type[CorpusConfig]]:
    return [ToyCorpus]


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [ToyEvaluation]


@hookimpl
def register_reporters() -> list[type[ReporterConfig]]:
    return [ToyReporter]
