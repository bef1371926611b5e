"""What fine-tuning found, as it is kept: plain tables, and the way back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from clozebox.evaluation.finetuning.controls import PRETRAINED, RANDOM, Scores
from clozebox.evaluation.finetuning.features import weights_fingerprint
from clozebox.evaluation.finetuning.heads import pooler_of
from clozebox.evaluation.finetuning.loop import Outcome
from clozebox.evaluation.finetuning.notes import notes_on
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.finetuning.probe import Probes
from clozebox.pretraining import PretrainingModel

FORMAT = 2
"""Raise it when the same settings would give other scores: kept ones are then not used again."""


def fingerprint(prepared: Prepared, model: PretrainingModel, precision: str) -> str:
    """SHA-256 of all that the score of a seed depends on, but the seed."""
    settings = prepared.task.settings.finetuning.model_dump_json(exclude={"seeds"})
    about = f"{FORMAT}/{prepared.task.metric}/{settings}/{prepared.fingerprint()}/{precision}"
    digest = hashlib.sha256(about.encode())
    for module in (model.embedding, model.encoder, pooler_of(model)):
        digest.update(b"" if module is None else weights_fingerprint(module).encode())
    return digest.hexdigest()


def as_table(prepared: Prepared, scores: Scores) -> dict[str, Any]:
    """Scores as JSON holds them."""
    return {
        **_about(prepared, scores.majority),
        "outcomes": {
            origin: {str(seed): asdict(outcome) for seed, outcome in held.items()}
            for origin, held in scores.outcomes.items()
        },
    }


def from_table(table: Mapping[str, Any]) -> Scores:
    """The way back."""
    outcomes = {
        origin: {int(seed): Outcome(**outcome) for seed, outcome in held.items()}
        for origin, held in table["outcomes"].items()
    }
    return Scores(table["majority"], outcomes)


def probes_as_table(prepared: Prepared, probes: Probes) -> dict[str, Any]:
    """Probes as JSON holds them."""
    return {
        **_about(prepared, probes.majority),
        "layers": {
            origin: [asdict(one) for one in probes.layers[origin]]
            for origin in (PRETRAINED, RANDOM)
        },
    }


def _about(prepared: Prepared, majority: Mapping[str, float]) -> dict[str, Any]:
    task = prepared.task
    return {
        "task": task.name,
        "metric": task.metric,
        "settings": task.settings.model_dump(mode="json", exclude_none=True),
        "data": prepared.dataset.fingerprint,
        "labels": list(prepared.dataset.labels),
        "examples": prepared.sizes(),
        "scored_on": prepared.dataset.scored,
        "notes": notes_on(prepared),
        "majority": dict(majority),
    }
