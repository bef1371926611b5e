"""What is known of a search: its trials, what they drew, and what mattered.

``search.json`` tells it all, wherever the study is kept; while the first sweep goes on, or another
writes the study, its database does.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clozebox.report.winners import FINDINGS, read_findings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

STUDY = "study.db"
LEAST_FOR_IMPORTANCE = 10
"""Finished trials, below which no importance is computed: it would be noise."""


@dataclass(frozen=True)
class Trial:
    """One draw from the space, and what came of it."""

    number: int
    state: str
    """``complete``, ``pruned``, ``fail``, ``running`` or ``waiting``."""
    values: tuple[float, ...]
    """One for each thing that is judged; empty until it is complete."""
    drawn: Mapping[str, Any]
    folder: str | None
    """Of its run, below the experiment's."""


@dataclass(frozen=True)
class Dimension:
    """One setting of the space; a scale is what its draws lie on."""

    key: str
    scale: str
    """``linear``, ``log`` or ``choice``."""
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Search:
    """One study: the trials of one arm."""

    name: str
    minimized: tuple[bool, ...]
    """Of each thing that is judged, whether less of it is better."""
    trials: tuple[Trial, ...]
    space: tuple[Dimension, ...]
    importance: Mapping[str, float]
    """Shares that add up to one; empty where there is too little to tell."""

    @property
    def front(self) -> tuple[int, ...]:
        """Trials that none beats at everything: of one judged thing, the best one."""
        finished = [trial for trial in self.trials if trial.values]
        return tuple(
            trial.number
            for trial in finished
            if not any(self._beats(other.values, trial.values) for other in finished)
        )

    def _beats(self, one: Sequence[float], other: Sequence[float]) -> bool:
        signs = [1 if less else -1 for less in self.minimized]
        pairs = [(s * a, s * b) for s, a, b in zip(signs, one, other, strict=True)]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def read_searches(folder: Path) -> list[Search]:
    """One for each arm; none for a plan, or while it is kept in another database alone."""
    findings = read_findings(folder)
    if findings is not None and not _is_newer(folder / STUDY, folder / FINDINGS):
        return [_search_told(findings, arm) for arm in findings["arms"]]
    if not (folder / STUDY).is_file():
        return []
    import optuna

    with _opened(folder / STUDY) as storage:
        names = sorted(optuna.get_all_study_names(storage))
        studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
        return [_search(s) for s in studies if any(trial.params for trial in s.get_trials(False))]


def _is_newer(one: Path, other: Path) -> bool:
    return one.is_file() and one.stat().st_mtime_ns > other.stat().st_mtime_ns


def _search_told(findings: Mapping[str, Any], arm: str) -> Search:
    """A search as ``search.json`` tells it."""
    found = findings["arms"][arm]
    goals = (findings["direction"] != "maximize",) + (True,) * ("against" in findings)
    drawn = {key for trial in found["trials"] for key in trial["params"]}
    return Search(
        name=f"{findings['experiment']}/{arm}",
        minimized=goals,
        trials=tuple(_trial_told(trial) for trial in found["trials"]),
        space=tuple(
            Dimension(key, "choice", tuple(given["choices"]))
            if "choices" in given
            else Dimension(key, "log" if given["log"] else "linear")
            for key, given in sorted(findings["space"].items())
            if key in drawn
        ),
        importance=found["importance"] or {},
    )


def _trial_told(trial: Mapping[str, Any]) -> Trial:
    judged = (trial["value"],) if trial["cost"] is None else (trial["value"], trial["cost"])
    values = () if trial["value"] is None else judged
    return Trial(trial["trial"], trial["state"], values, trial["params"], trial["folder"])


@contextmanager
def _opened(path: Path) -> Iterator[BaseStorage]:
    """The database, left as it is: no table is made, and a sweep that writes it is waited for."""
    from optuna.storages import RDBStorage

    url = f"sqlite:///{path.resolve()}".replace("{", "{{").replace("}", "}}")
    connect = {"connect_args": {"timeout": 60}}
    storage = RDBStorage(url, engine_kwargs=connect, skip_table_creation=True)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _search(study: Study) -> Search:
    from optuna.study import StudyDirection

    trials = study.get_trials(deepcopy=False)
    return Search(
        name=study.study_name,
        minimized=tuple(d is not StudyDirection.MAXIMIZE for d in study.directions),
        trials=tuple(_trial(trial) for trial in trials),
        space=tuple(_dimensions(trials)),
        importance=_importance(study),
    )


def _trial(trial: FrozenTrial) -> Trial:
    values = tuple(trial.values or ()) if trial.state.name == "COMPLETE" else ()
    known = values if all(math.isfinite(value) for value in values) else ()
    folder = trial.user_attrs.get("folder")
    return Trial(trial.number, trial.state.name.lower(), known, trial.params, folder)


def _dimensions(trials: Sequence[FrozenTrial]) -> Iterator[Dimension]:
    found = {key: d for trial in trials for key, d in trial.distributions.items()}
    for key, distribution in sorted(found.items()):
        choices = getattr(distribution, "choices", None)
        if choices is not None:
            yield Dimension(key, "choice", tuple(choices))
        else:
            yield Dimension(key, "log" if getattr(distribution, "log", False) else "linear")


def _importance(study: Study) -> dict[str, float]:
    """PED-ANOVA's (Watanabe et al., 2023): which settings tell the best tenth from the rest."""
    from optuna.importance import get_param_importances
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(finished) < LEAST_FOR_IMPORTANCE:
        return {}
    target = None if len(study.directions) == 1 else _first_value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that trials are few, and that the evaluator is new
        try:
            found = get_param_importances(study, target=target)
        except (RuntimeError, ValueError):  # every trial drew the same, or came to the same
            return {}
    return {key: share for key, share in found.items() if math.isfinite(share)}


def _first_value(trial: FrozenTrial) -> float:
    return float(trial.values[0])
