"""Linear probes: how much of a task a linear model reads off the frozen features of each layer.

n examples or words, D features, K classes, T tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from clozebox.errors import UserError
from clozebox.evaluation.finetuning.controls import PRETRAINED, RANDOM, constant_scores
from clozebox.evaluation.finetuning.encoding import Feature
from clozebox.evaluation.finetuning.features import Pooling, Reader, architecture, own_reading
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.finetuning.solver import Linear, logistic, ridge
from clozebox.evaluation.held_out import EVALUATION_SEED, HeldOut
from clozebox.model import initialise
from clozebox.pretraining import IGNORE_INDEX, PretrainingModel

L2 = (10.0, 1.0, 0.1, 1e-2, 1e-3, 1e-4)
"""From strong to weak: each solution is where the next one begins."""
Solver = Callable[[Tensor, Tensor, int, float, Linear | None], Linear]
SOLVERS: Mapping[str, Solver] = MappingProxyType(
    {"classification": logistic, "tagging": logistic, "regression": ridge}
)


@dataclass(frozen=True)
class LayerScore:
    """A probe on one layer, with the penalty that was best on the development split."""

    layer: int
    """0 is the embedding."""
    l2: float
    development: float
    """The task's own metric there."""
    scores: dict[str, float]
    """Every metric on the scored split."""


@dataclass(frozen=True)
class Probes:
    """The probes on every layer that was asked for, and the controls."""

    majority: dict[str, float]
    layers: dict[str, list[LayerScore]]
    """By where the weights come from."""

    def best(self, origin: str) -> LayerScore:
        """Of the layer that is best on the development split, the lowest of equal ones."""
        return max(self.layers[origin], key=lambda one: one.development)


def probe(
    prepared: Prepared,
    model: PretrainingModel,
    held_out: HeldOut,
    pooling: Pooling = "mean",
    layer: int | None = None,
    cache: Path | None = None,
) -> Probes:
    """Probe one layer or all, of ``model`` and of the same architecture with fresh weights.

    Features are read in the model's own way, from one side where it has learned no other.

    Raises:
        UserError: no such layer, or a kind of task that no linear model solves.
    """
    solve = SOLVERS.get(prepared.task.settings.kind)
    if solve is None:
        known = ", ".join(SOLVERS)
        raise UserError(f"{prepared.task.path}: a probe is for {known}, not for this kind of task")
    fresh = nn.ModuleDict(
        {
            "embedding": model.settings.embedding.build(model.shape),
            "encoder": model.settings.encoder.build(model.shape),
        }
    )
    initialise(fresh, EVALUATION_SEED)
    learned = nn.ModuleDict({"embedding": model.embedding, "encoder": model.encoder})
    reading, numerics = own_reading(model, held_out), held_out.numerics
    layers = {}
    for origin, parts in ((PRETRAINED, copy.deepcopy(learned)), (RANDOM, fresh)):
        parts = parts.to(numerics.device)
        reader = Reader(parts, architecture(model), reading, pooling, numerics)
        features = reader.features(prepared, cache)
        places = _layers(layer, len(features["train"]))
        layers[origin] = [probe_layer(prepared, features, place, solve) for place in places]
    return Probes(constant_scores(prepared), layers)


def probe_layer(
    prepared: Prepared, features: Mapping[str, Tensor], layer: int, solve: Solver
) -> LayerScore:
    """Fit on the training split with each penalty, and keep the best on the development split."""
    whole = {split: some[layer].double() for split, some in features.items()}  # (n, D)
    middle, spread = whole["train"].mean(0), whole["train"].std(0, unbiased=False)
    scaled = {split: (some - middle) / spread.clamp(min=1e-6) for split, some in whole.items()}
    targets = torch.from_numpy(np.concatenate([_wanted(f) for f in prepared.features["train"]]))
    targets = targets.double() if targets.is_floating_point() else targets
    found: Linear | None = None
    best: LayerScore | None = None
    for l2 in L2:
        found = solve(scaled["train"], targets, prepared.kind.outputs, l2, found)
        score = _scores(prepared, "development", found(scaled["development"]))
        if best is None or score[prepared.task.metric] > best.development:
            split = prepared.dataset.scored
            scores = _scores(prepared, split, found(scaled[split]))
            best = LayerScore(layer, l2, score[prepared.task.metric], scores)
    assert best is not None
    return best


def _scores(prepared: Prepared, split: str, outputs: Tensor) -> dict[str, float]:
    """outputs (n, K), a row for each example or word -> every metric."""
    rows = outputs.numpy()
    logits, done = [], 0
    for feature in prepared.features[split]:
        count = _wanted(feature).size
        logits.append(_placed(feature, rows[done : done + count]))
        done += count
    return prepared.scores(split, logits)


def _wanted(feature: Feature) -> np.ndarray:
    """What is to be predicted of a feature: (1,), or (words,)."""
    target = feature.target
    return target[None] if target.ndim == 0 else target[target != IGNORE_INDEX]


def _placed(feature: Feature, rows: np.ndarray) -> np.ndarray:
    """(1, K) -> (K,); of words (words, K) -> (K, T), as a head for tags gives them."""
    if feature.target.ndim == 0:
        whole: np.ndarray = rows[0]
        return whole
    whole = np.zeros((rows.shape[1], len(feature.input_ids)))
    whole[:, feature.target != IGNORE_INDEX] = rows.T
    return whole


def _layers(asked: int | None, count: int) -> Sequence[int]:
    """The numbers of the layers to probe, of ``count`` with the embedding."""
    if asked is None:
        return range(count)
    if asked >= count:
        raise UserError(f"layer {asked}: there are 0 (the embedding) to {count - 1}")
    return [asked]
