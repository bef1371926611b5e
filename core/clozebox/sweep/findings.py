"""What a search found, as one JSON file beside its runs: for reports, which need no Optuna then."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from clozebox.sweep.best import Best
from clozebox.sweep.plan import PlannedRun
from clozebox.sweep.trials import Trials
from clozebox.sweep.workspace import Workspace
from clozebox.training.files import write_json

if TYPE_CHECKING:
    from clozebox.sweep.run import SweepResult

FILE = "search.json"
FEWEST = 10
"""Finished trials of an arm, below which the importance of a dimension is mostly noise."""


def write_findings(
    workspace: Workspace, plan: Sequence[PlannedRun], trials: Trials, result: SweepResult
) -> None:
    """Write ``search.json``, anew when the trials have ended and at the end of each sweep.

    ``{metric, direction, against, space, arms: {arm: {trials, importance, best}}}``. A trial holds
    its number, folder, state, params, value, cost, reason and, by evaluation, intermediate values:
    a slice plot is value over one of params. ``importance`` (PED-ANOVA) sums to 1, and is null for
    few trials. ``best`` is one trial an arm, or its front; each with what fresh seeds made of it.
    """
    sweep = workspace.experiment.sweep
    arms: dict[str, Any] = {}
    for name in dict.fromkeys(run.arm.name for run in plan):
        made = [
            (run, trials.latest[run.folder])
            for run in plan
            if run.arm.name == name and run.folder in trials.latest
        ]
        arms[name] = {
            "trials": [_trial(run, trial) for run, trial in made],
            "importance": _importance([trial for _, trial in made], sweep.direction),
            "best": [_best(one, result) for one in result.best if one.run.arm.name == name],
        }
    write_json(
        workspace.root / FILE,
        {
            "experiment": workspace.experiment.name,
            **sweep.model_dump(mode="json", exclude_none=True),
            "arms": arms,
        },
    )


def _trial(run: PlannedRun, trial: FrozenTrial) -> dict[str, Any]:
    values = list(trial.values or []) if trial.state is TrialState.COMPLETE else []
    return {
        "trial": run.trial,
        "seed": run.seed,
        "folder": run.folder,
        "state": trial.state.name.lower(),
        "params": trial.params or dict(run.values),
        "value": _number(values[0]) if values else None,
        "cost": values[1] if len(values) > 1 else None,
        "reason": trial.user_attrs.get("reason"),
        "evaluations": {str(n): _number(v) for n, v in trial.intermediate_values.items()},
    }


def _best(best: Best, result: SweepResult) -> dict[str, Any]:
    fresh = next((one.found for one in result.confirmed if one.best is best), {})
    return {
        "trial": best.run.trial,
        "params": dict(best.values),
        "value": best.value,
        "cost": best.cost,
        "fresh": {str(seed): value for seed, value in fresh.items()},
    }


def _importance(
    trials: Sequence[FrozenTrial], direction: Literal["minimize", "maximize"]
) -> dict[str, float] | None:
    """How much of the difference between good and bad trials each dimension makes."""
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE and trial.params]
    if len(done) < FEWEST:
        return None
    study = optuna.create_study(direction=direction)
    study.add_trials(
        [
            optuna.trial.create_trial(
                value=t.values[0], params=t.params, distributions=t.distributions
            )
            for t in done
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental; and of trials that are alike
        try:
            found: Mapping[str, float] = optuna.importance.get_param_importances(study)
        except (RuntimeError, ValueError):  # every trial drew the same, or came to the same
            return None
    return {key: share for key, share in found.items() if math.isfinite(share)} or None


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
