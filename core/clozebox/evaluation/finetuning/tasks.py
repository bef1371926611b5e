"""Fine-tuning and probing as yardsticks of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from clozebox.errors import UserError
from clozebox.evaluation.finetuning.controls import PRETRAINED, RANDOM, Scores, measure
from clozebox.evaluation.finetuning.dataset import load_dataset
from clozebox.evaluation.finetuning.encoding import sequence_length
from clozebox.evaluation.finetuning.examples import Dataset
from clozebox.evaluation.finetuning.features import Pooling
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.finetuning.probe import Probes, probe
from clozebox.evaluation.finetuning.task import Task, read_task
from clozebox.evaluation.held_out import HeldOut
from clozebox.evaluation.task import EvaluationTask
from clozebox.pretraining import PretrainingModel


class TaskFiles:
    """The tasks in some TOML files, read and checked before anything is trained."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Raises UserError with what is wrong with a file or with its data."""
        tasks = [read_task(Path(path)) for path in paths]
        names = [task.name for task in tasks]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"two tasks are named {name!r}: a task is named after its file")
        self._tasks = [(task, load_dataset(task)) for task in tasks]

    def prepared(self, model: PretrainingModel, held_out: HeldOut) -> list[Prepared]:
        """Every task as the run writes it."""
        return [ready(task, dataset, model, held_out) for task, dataset in self._tasks]


class FineTuning(EvaluationTask):
    """Fine-tunes a copy of the model on every task, with its controls."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._files = TaskFiles(paths)

    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        """``<task>_<metric>``, the mean over the seeds, and the same of the controls."""
        found: dict[str, float] = {}
        for prepared in self._files.prepared(model, held_out):
            found |= task_metrics(prepared.task, measure(prepared, model, held_out.numerics))
        return found


class Probing(EvaluationTask):
    """Probes a layer of the model, or the best one, on every task, with the controls."""

    def __init__(self, paths: Sequence[str], layer: int | None, pooling: Pooling) -> None:
        self._files = TaskFiles(paths)
        self._layer, self._pooling = layer, pooling

    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        """``<task>_probe_<metric>``, and the same of the controls; see ``probe_metrics``."""
        found: dict[str, float] = {}
        for prepared in self._files.prepared(model, held_out):
            probes = probe(prepared, model, held_out, self._pooling, self._layer)
            found |= probe_metrics(prepared.task, probes, self._pooling, self._layer)
        return found


def ready(task: Task, dataset: Dataset, model: PretrainingModel, held_out: HeldOut) -> Prepared:
    """A task as the run of ``model`` writes it."""
    length = sequence_length(
        task.settings.finetuning.seq_length,
        held_out.seq_length,
        model.shape.max_position_embeddings,
    )
    return Prepared.of(task, dataset, held_out.store, length)


def task_metrics(task: Task, scores: Scores) -> dict[str, float]:
    """The task's own metric, under the names by which runs are compared."""
    means = {origin: scores.mean(origin, task.metric) for origin in (PRETRAINED, RANDOM)}
    return _named(f"{task.name}_{task.metric}", means, scores.majority[task.metric])


def probe_metrics(
    task: Task, probes: Probes, pooling: Pooling, layer: int | None
) -> dict[str, float]:
    """The same of the best layer, or of the one that was asked for.

    Those of one layer, or of [CLS], have names that say so: no other is to be compared with them.
    """
    best = {o: probes.best(o).scores[task.metric] for o in (PRETRAINED, RANDOM)}
    how = ("" if pooling == "mean" else f"{pooling}_") + ("" if layer is None else f"layer{layer}_")
    return _named(f"{task.name}_probe_{how}{task.metric}", best, probes.majority[task.metric])


def _named(name: str, scores: Mapping[str, float], majority: float) -> dict[str, float]:
    return {
        name: scores[PRETRAINED],
        f"{name}_{RANDOM}": scores[RANDOM],
        f"{name}_majority": majority,
    }
