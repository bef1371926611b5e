"""In what arms differ, without what only follows from it."""

from __future__ import annotations

from typing import Any

from clozebox.config.arms import NOT_THE_RESULT, settings_of
from clozebox.config.layers import SLOTS, Table, dotted
from clozebox.config.settings import Arm, Experiment
from clozebox.config.space import canonical

MEASURING = ("evaluations", "evaluation", "train.evals")
"""How an arm is measured is not what it is."""


def differences(one: Arm, other: Arm) -> list[str]:
    """The settings in which two arms differ: one key for each choice that was made.

    Another component is one choice, with all its options; so are other objectives, with theirs, the
    example they need and, where one of the arms hides nothing, the masking.
    """
    ours, theirs = _choices(one), _choices(other)
    keys = [key for key in dict.fromkeys((*ours, *theirs)) if ours.get(key) != theirs.get(key)]
    for slot in SLOTS:
        if f"{slot}.name" in keys:
            keys = [key for key in keys if not within(key, slot)] + [f"{slot}.name"]
    if "objectives" in keys:
        keys = [key for key in keys if not _follows(key, one, other)]
    return keys


def choices_made(keys: list[str]) -> list[str]:
    """The differences as choices: several options of one component, or a phase, are one."""
    return list(dict.fromkeys(_whole(key) for key in keys))


def changed_settings(experiment: Experiment) -> list[str]:
    """What differs between any two arms, or is searched."""
    baseline, *others = experiment.arms
    changed = [key for arm in others for key in differences(baseline, arm)]
    return list(dict.fromkeys((*changed, *map(canonical, experiment.sweep.space))))


def within(key: str, factor: str) -> bool:
    """Whether a setting is a factor or part of it: ``masking.rate`` of ``masking``."""
    return key == canonical(factor) or key == factor or key.startswith(f"{factor}.")


def _whole(key: str) -> str:
    first = key.partition(".")[0]
    return first if first in SLOTS else key


def _follows(key: str, one: Arm, other: Arm) -> bool:
    """Whether it differs because the objectives do."""
    if key.startswith("objective."):
        return True
    if key == "masking.name":
        return one.masking is None or other.masking is None
    return key == "train.examples" and {one.train.examples, other.train.examples} == {"auto"}


def _choices(arm: Arm) -> dict[str, Any]:
    """Every setting that can make a difference, by its dotted key."""
    settings = settings_of(arm)
    settings["train"]["examples"] = arm.examples
    settings["train"].pop("short_seq_prob", None)  # read by pairs alone, and follows from them
    table = Table(settings)
    for path in NOT_THE_RESULT:
        table = table.without(path)
    return {
        dotted(path): value
        for path, value in table.leaves()
        if not any(within(dotted(path), key) for key in MEASURING)
    }
