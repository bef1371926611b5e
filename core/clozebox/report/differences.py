"""The settings in which arms differ, and those among them that change what is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clozebox.report.numbers import MISSING
from clozebox.report.records import EVALUATION

if TYPE_CHECKING:
    from clozebox.report.arms import ArmRuns

INSTRUMENT = ("tokenizer.", "corpus.", "train.seq_length", "train.held_out", "evaluation.")
"""Where keys begin that fix which tokens are guessed, and so what a loss per token means."""
EXAMPLES = "train.examples"
OWN_INSTRUMENT = ("masking.", EXAMPLES)
"""The same for what an objective measures of itself: it guesses the blanks that it trains on."""
EVALUATIONS = "evaluation."
ONLY_OF_PAIRS = "train.short_seq_prob"


def differences(arms: Sequence[ArmRuns]) -> dict[str, tuple[str, ...]]:
    """Dotted keys in order, each with its value in every arm; equal ones are left out."""
    settings = [dict(_flat(arm.settings)) for arm in arms]
    keys = sorted({key for table in settings for key in table})
    found = {key: tuple(_text(table, key) for table in settings) for key in keys}
    return {key: texts for key, texts in found.items() if len(set(texts)) > 1}


def instrument_differences(
    baseline: ArmRuns, arm: ArmRuns, metric: str
) -> dict[str, tuple[str, ...]]:
    """The differences that make ``metric`` of ``arm`` another quantity than the baseline's."""
    found = differences((baseline, arm))
    keys: tuple[str, ...] = INSTRUMENT
    if is_own(metric, baseline):
        keys += OWN_INSTRUMENT
        found = _with_kinds_of_example(found, baseline, arm)
    task = _task_of(metric, baseline)
    return {
        key: texts
        for key, texts in found.items()
        if key.startswith(keys)
        # A yardstick that only one of them has measures none of the metrics that both have.
        and not (key.startswith(EVALUATIONS) and MISSING in texts)
        and not (key.startswith(EVALUATIONS) and task and not key.startswith(task))
    }


def _with_kinds_of_example(
    found: Mapping[str, tuple[str, ...]], baseline: ArmRuns, arm: ArmRuns
) -> dict[str, tuple[str, ...]]:
    """``train.examples = "auto"`` comes to whatever the objectives of an arm ask for."""
    kinds = tuple(str(one.runs[0].resolved.get("examples", "")) for one in (baseline, arm))
    if not all(kinds):  # a run of before it was recorded: only pairs have this other setting
        texts = found.get(ONLY_OF_PAIRS, ())
        if MISSING not in texts:
            return dict(found)
        kinds = tuple("single" if text == MISSING else "pairs" for text in texts)
    rest = {key: texts for key, texts in found.items() if key != EXAMPLES}
    return rest if len(set(kinds)) == 1 else {**rest, EXAMPLES: kinds}


def _task_of(metric: str, arm: ArmRuns) -> str | None:
    """The settings of the yardstick that ``metric`` is named after, if it is named after one."""
    name = metric.removeprefix(EVALUATION)
    tasks = [task for task in arm.settings.get("evaluation") or () if name.startswith(f"{task}_")]
    return f"{EVALUATIONS}{max(tasks, key=len)}." if tasks else None


def is_own(metric: str, arm: ArmRuns) -> bool:
    """Whether ``metric`` is what an objective of ``arm`` measures of itself, masks and all.

    Not its excess: that is counted from the floor of those very masks, one zero for all.
    """
    name = metric.removeprefix(EVALUATION)
    objectives = arm.settings.get("objectives") or ()
    return not name.endswith("_excess") and any(name.startswith(f"{o}_") for o in objectives)


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
