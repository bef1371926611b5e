"""The settings in which arms differ, and those among them that change what is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clozebox.report.comparison import ArmRuns
from clozebox.report.numbers import MISSING

INSTRUMENT = ("tokenizer.", "corpus.", "train.seq_length", "train.held_out", "evaluation.")
"""Where keys begin that fix which tokens are guessed, and so what a loss per token means."""


def differences(arms: Sequence[ArmRuns]) -> dict[str, tuple[str, ...]]:
    """Dotted keys in order, each with its value in every arm; equal ones are left out."""
    settings = [dict(_flat(arm.settings)) for arm in arms]
    keys = sorted({key for table in settings for key in table})
    found = {key: tuple(_text(table, key) for table in settings) for key in keys}
    return {key: texts for key, texts in found.items() if len(set(texts)) > 1}


def instrument_differences(baseline: ArmRuns, arm: ArmRuns) -> dict[str, tuple[str, ...]]:
    """The differences that make a metric of ``arm`` another quantity than the baseline's."""
    return {
        key: texts
        for key, texts in differences((baseline, arm)).items()
        if key.startswith(INSTRUMENT)
        # A yardstick that only one of them has measures none of the metrics that both have.
        and not (key.startswith("evaluation.") and MISSING in texts)
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return MISSING
    value = settings[key]
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value)
