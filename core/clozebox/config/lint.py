"""Whether an experiment can answer its question: said before a run is made, not after.

An *error* is a comparison that cannot mean anything; a *warning* one that may not mean what it
seems to. Neither is a fault of a setting: those stop the file from being read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from clozebox.config.arms import fingerprint
from clozebox.config.experiment import Reading
from clozebox.config.factors import changed_settings, choices_made, differences, within
from clozebox.config.layers import SLOTS, KeyPath
from clozebox.config.locate import key_lines
from clozebox.config.settings import Arm, Experiment
from clozebox.config.space import canonical

SEEN_WITH = {2: 11.6, 3: 3.26, 4: 2.13, 5: 1.68, 10: 1.0}
"""The difference that a paired t test over so many seeds finds four times out of five (two-sided,
5 %), in standard deviations of the difference over seeds: noncentral t, power 0.8."""
FEW = 5


@dataclass(frozen=True)
class Remark:
    """Something to know before the runs are made."""

    level: Literal["error", "warning"]
    origin: str
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


def lint(reading: Reading) -> list[Remark]:
    """Everything to be said of an experiment, errors first."""
    found = [
        *_factor(reading),
        *_twins(reading.experiment),
        *_metric(reading),
        *_seeds(reading.experiment),
        *_search(reading.experiment),
    ]
    return sorted(found, key=lambda remark: remark.level != "error")


def _factor(reading: Reading) -> Iterator[Remark]:
    """Arms that differ from the baseline in more than one thing, or in more than was declared."""
    experiment = reading.experiment
    baseline, *others = experiment.arms
    file = _line(experiment, "factor")
    changed = {arm.name: differences(baseline, arm) for arm in others}
    for factor in experiment.factor:
        if others and not any(within(key, factor) for keys in changed.values() for key in keys):
            yield Remark("error", file, f"factor '{factor}': no arm changes it")
    for arm in others:
        origins = reading.tables[arm.name]
        keys = changed[arm.name]
        if not experiment.factor and len(choices_made(keys)) > 1:
            told = f"arm '{arm.name}' differs from '{baseline.name}' in {', '.join(keys)}: "
            told += "what makes the difference cannot be told"
            yield Remark("warning", origins.origin(_path(keys[-1])), told)
        for key in keys if experiment.factor else ():
            if not any(within(key, factor) for factor in experiment.factor):
                told = f"arm '{arm.name}' differs from '{baseline.name}' in {key} as well: "
                told += f"the factor is {', '.join(experiment.factor)}"
                yield Remark("error", origins.origin(_path(key)), told)


def _twins(experiment: Experiment) -> Iterator[Remark]:
    """Arms that differ, but in nothing that a result depends on."""
    seen: dict[str, str] = {}
    for arm in experiment.arms:
        print_of_arm = fingerprint(arm)
        if print_of_arm in seen:
            told = f"arms '{seen[print_of_arm]}' and '{arm.name}' differ only in what never changes"
            yield Remark("warning", f"{experiment.path}:1", f"{told} a result")
        seen.setdefault(print_of_arm, arm.name)


def _metric(reading: Reading) -> Iterator[Remark]:
    """A metric that is not the same thing for every arm."""
    experiment = reading.experiment
    metric = experiment.sweep.metric
    origin = _line(experiment, "sweep", "metric")
    if not metric.startswith("eval/"):
        yield Remark("error", origin, f"{metric} is not measured at the end of a run: eval/ is")
        return
    wrong = {"_loss": "maximize", "_accuracy": "minimize"}
    for ending, direction in wrong.items():
        if metric.endswith(ending) and experiment.sweep.direction == direction:
            yield Remark("warning", origin, f"sweep.direction is to {direction} {metric}")
    owner = _owner(metric, experiment.arms)
    if owner is not None:
        for arm in experiment.arms:
            if owner not in [one.name for one in arm.objectives]:
                told = f"arm '{arm.name}' never measures {metric}: it has no objective '{owner}'"
                yield Remark("error", origin, told)
    changed = changed_settings(experiment)
    for key, how in _bearing_on(metric, owner):
        if any(within(one, key) or within(key, one) for one in changed):
            told = f"{metric} while {_who(experiment)} change {key}: {how}"
            yield Remark("error" if owner is not None else "warning", origin, told)


def _bearing_on(metric: str, owner: str | None) -> Iterator[tuple[str, str]]:
    """Settings that change what a metric measures, and how."""
    if owner is not None and metric.endswith("_loss"):
        common = "judge by eval/cloze_loss, which is the same for all"
        for key in ("masking", f"objective.{owner}.share"):
            yield key, f"each sets itself a task of its own difficulty; {common}"
    if metric.endswith(("_loss", "_accuracy")):
        for key in ("tokenizer", "corpus", "train.held_out"):
            yield key, "it is counted over other tokens then, and not on one scale"


def _seeds(experiment: Experiment) -> Iterator[Remark]:
    """Fewer seeds than can show a difference between arms."""
    sweep, file = experiment.sweep, _line(experiment, "seeds")
    if sweep.space and sweep.fresh_seeds == 0:
        told = "fresh_seeds = 0: the best of many trials is flattered by its own selection"
        yield Remark("warning", file, told)
    seeds = sweep.fresh_seeds if sweep.space else len(experiment.seeds)
    if len(experiment.arms) < 2 or seeds >= FEW or seeds == 0:
        return
    if seeds == 1:
        told = "one seed: no difference between arms can be told from chance"
    else:
        told = (
            f"{seeds} seeds find, 4 times in 5, a difference of {SEEN_WITH[seeds]:.1f} standard "
            f"deviations over seeds or more; 5 find {SEEN_WITH[5]:.1f}, 10 find {SEEN_WITH[10]:.1f}"
        )
    yield Remark("warning", file, told)


def _search(experiment: Experiment) -> Iterator[Remark]:
    """A component that is searched starts from its defaults, whatever the arm gave the other."""
    file = _line(experiment, "sweep", "space")
    for key, dimension in experiment.sweep.space.items():
        slot = canonical(key).removesuffix(".name")
        if slot not in SLOTS or slot == "size" or canonical(key) != f"{slot}.name":
            continue
        given = experiment.settings.get(slot)
        options = [one for one in given if one != "name"] if isinstance(given, dict) else []
        lost = [one for one in options if f"{slot}.{one}" not in experiment.sweep.space]
        if lost and len(dimension.choices or ()) > 1:
            told = f"{key} is searched: all but the arm's own start from their defaults, so that "
            told += f"{', '.join(f'{slot}.{one}' for one in lost)} is theirs alone; search it too"
            yield Remark("warning", file, told)


def _owner(metric: str, arms: Iterable[Arm]) -> str | None:
    """The objective whose own metric it is: the longest name that it begins with."""
    names = {objective.name for arm in arms for objective in arm.objectives}
    return max((n for n in names if metric.startswith(f"eval/{n}_")), key=len, default=None)


def _line(experiment: Experiment, *path: str) -> str:
    """Where a setting of the whole experiment was given; the file's begin if it was not."""
    return f"{experiment.path}:{key_lines(experiment.given).get(path, 1)}"


def _who(experiment: Experiment) -> str:
    return "trials" if len(experiment.arms) == 1 else "arms"


def _path(key: str) -> KeyPath:
    return tuple(key.split("."))
