"""Fine-tuning with one seed: warm-up, decay, early stop, and the best epoch's weights at the end.

B sequences, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clozebox.data import integer_seed, permutation
from clozebox.evaluation.finetuning.encoding import Feature
from clozebox.evaluation.finetuning.heads import FineTunedModel
from clozebox.evaluation.finetuning.kind import Logits
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.held_out import Precision
from clozebox.model import parameter_groups

MAX_GRAD_NORM = 1.0
ADAM_EPS = 1e-6
"""BERT's."""


@dataclass(frozen=True)
class Outcome:
    """What fine-tuning with one seed came to."""

    scores: dict[str, float]
    """Every metric on the scored split, with the weights of the best epoch."""
    development: float
    """The task's own metric on the development split then."""
    best_epoch: int
    """Counted from 1; 0 where no epoch ended with finite numbers."""
    epochs: int
    """How many were begun."""


def fine_tune(
    model: FineTunedModel,
    prepared: Prepared,
    seed: int,
    numerics: Precision,
    watch: Callable[[float], None] = lambda share: None,
) -> Outcome:
    """Train ``model``, in place, and score it: a function of its weights, the task and the seed.

    ``watch`` is told after each step which share of all steps is done, if it does not stop early.
    """
    settings, metric = prepared.task.settings.finetuning, prepared.task.metric
    train = prepared.features["train"]
    optimizer = torch.optim.AdamW(
        parameter_groups(model, settings.weight_decay), lr=settings.lr, eps=ADAM_EPS, fused=True
    )
    steps_each = math.ceil(len(train) / settings.batch_size)
    best, best_epoch, weights = -math.inf, 0, _copy(model)
    epoch = 0
    for epoch in range(1, settings.epochs + 1):
        for number, batch in enumerate(_batches(train, seed, epoch, settings.batch_size)):
            step = (epoch - 1) * steps_each + number
            share = step / (steps_each * settings.epochs)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * lr_factor(share, settings.warmup)
            # Dropout is a function of the seed and the step, whatever ran before.
            torch.manual_seed(integer_seed(seed, "finetune/step", step))
            _step(model, optimizer, prepared, batch, numerics)
            watch((step + 1) / (steps_each * settings.epochs))
        found = outputs(model, prepared, "development", numerics)
        if not all(np.isfinite(one).all() for one in found):
            break  # the weights of the best epoch before it stand
        score = prepared.scores("development", found)[metric]
        if score > best:
            best, best_epoch, weights = score, epoch, _copy(model)
        elif epoch - best_epoch >= settings.patience:
            break
    model.load_state_dict(weights)
    scored = prepared.dataset.scored
    scores = prepared.scores(scored, outputs(model, prepared, scored, numerics))
    return Outcome(scores, best if best_epoch else 0.0, best_epoch, epoch)


def lr_factor(share: float, warmup: float) -> float:
    """Of the peak, when ``share`` (0 to 1) of all steps is done: linearly up, then down to 0."""
    return share / warmup if share < warmup else (1 - share) / (1 - warmup)


def outputs(model: FineTunedModel, prepared: Prepared, split: str, numerics: Precision) -> Logits:
    """The logits of each feature of a split, without padding and without dropout."""
    features = prepared.features[split]
    found: list[np.ndarray] = [np.empty(0)] * len(features)
    model.eval()
    with torch.no_grad(), numerics.autocast():
        for places in by_length(features, prepared.task.settings.finetuning.batch_size):
            batch = [features[place] for place in places]
            logits = model(prepared.tokens.collate(batch, numerics.device)).cpu().numpy()
            for place, feature, row in zip(places, batch, logits, strict=True):
                # (K,) of a sequence; (K, T) of tokens, where what stands for padding goes
                found[place] = row if row.ndim == 1 else row[:, : len(feature.input_ids)]
    return found


def by_length(features: Sequence[Feature], batch_size: int) -> Iterator[np.ndarray]:
    """Places of features of like length, so that little is padded; each once."""
    order = np.argsort([len(one.input_ids) for one in features], kind="stable")
    for first in range(0, len(order), batch_size):
        yield order[first : first + batch_size]


def _batches(
    features: Sequence[Feature], seed: int, epoch: int, batch_size: int
) -> Iterator[list[Feature]]:
    order = permutation(seed, "finetune/order", epoch, len(features))
    for first in range(0, len(order), batch_size):
        yield [features[place] for place in order[first : first + batch_size]]


def _step(
    model: FineTunedModel,
    optimizer: torch.optim.AdamW,
    prepared: Prepared,
    batch: Sequence[Feature],
    numerics: Precision,
) -> None:
    model.train()
    inputs = prepared.tokens.collate(batch, numerics.device)
    with numerics.autocast():
        logits = model(inputs)
    loss: Tensor = prepared.kind.loss(logits, inputs.targets)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _copy(model: FineTunedModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
