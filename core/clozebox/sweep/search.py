"""From `[sweep]` to Optuna: the space, the sampler that walks it, the pruner that gives up."""

from __future__ import annotations

import importlib.util
import warnings
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from clozebox.config.settings import SearchSpace
from clozebox.config.space import Space, drawn_here
from clozebox.errors import UserError


def make_sampler(name: str, seed: int, trial: int, space: Space) -> BaseSampler:
    """A sampler for one trial, seeded by the trial's index.

    A sampler that lived through the sweep would draw differently with other numbers of workers, and
    two sweeps side by side would draw the same points; one sampler a trial does neither. The seed
    does not depend on the arm, so that random search tries the same points on every arm.

    Raises:
        UserError: the sampler needs a package that is not installed.
    """
    if name in NEEDS_SCIPY and importlib.util.find_spec("scipy") is None:
        raise UserError(f"the sampler '{name}' needs SciPy: pip install 'clozebox[stats]'")
    own_seed = zlib.crc32(f"{seed}/{trial}".encode())
    if name in ("gp", "qmc"):
        return _gp(own_seed) if name == "gp" else _qmc(seed, own_seed)
    if name == "tpe":
        return _tpe(own_seed, any(dimension.when for dimension in space.values()))
    # The points of a grid are given (`plan.py`): Optuna's own grid and brute-force samplers try
    # some of them twice where several workers ask at once.
    return optuna.samplers.RandomSampler(seed=own_seed)


def _tpe(own_seed: int, is_conditional: bool) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # By group: else a dimension that some trials lack would be drawn apart from all others.
        return optuna.samplers.TPESampler(seed=own_seed, group=is_conditional, multivariate=True)


def _gp(own_seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(
        seed=own_seed, deterministic_objective=False, warn_independent_sampling=False
    )


def _qmc(seed: int, own_seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.QMCSampler(
            seed=seed,  # all trials walk one scrambled sequence
            scramble=True,
            independent_sampler=optuna.samplers.RandomSampler(seed=own_seed),
            warn_independent_sampling=False,
        )


NEEDS_SCIPY = ("qmc", "gp")


def make_pruner(name: str, evals: int) -> BasePruner:
    """A pruner of trials that are evaluated ``evals`` times each, the last time at the end."""
    return PRUNERS[name](evals)


def _none(evals: int) -> BasePruner:
    return optuna.pruners.NopPruner()


def _median(evals: int) -> BasePruner:
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)


def _patient_median(evals: int) -> BasePruner:
    # Not the default: patience waits until the trial's own value no longer improves, which the loss
    # of a sound pretraining run always does, so that a slow learner is never given up. It is for
    # metrics that level off.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.pruners.PatientPruner(_median(evals), patience=max(1, evals // 5))


def _halving(evals: int) -> BasePruner:
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)


def _hyperband(evals: int) -> BasePruner:
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=evals, reduction_factor=3)


PRUNERS: Mapping[str, Callable[[int], BasePruner]] = MappingProxyType(
    {
        "none": _none,
        "median": _median,
        "patient_median": _patient_median,
        "halving": _halving,
        "hyperband": _hyperband,
    }
)


def suggest(trial: optuna.Trial, space: Space, settings: Mapping[str, Any]) -> dict[str, Any]:
    """One value for each dimension that the arm has; the same ones again for a trial that has them.

    A dimension with a condition is one of the trials that meet it: by what they drew, or by the
    arm's own ``settings``.
    """
    values: dict[str, Any] = {}
    for key, dimension in space.items():
        if drawn_here(dimension, values, settings):
            values[key] = _suggest_one(trial, key, dimension)
    return values


def _suggest_one(trial: optuna.Trial, key: str, dimension: SearchSpace) -> bool | int | float | str:
    if dimension.choices is not None:
        return cast("bool | int | float | str", trial.suggest_categorical(key, dimension.choices))
    low, high = dimension.values()
    if dimension.integer:
        step = int(dimension.step or 1)
        return trial.suggest_int(key, int(low), int(high), step=step, log=dimension.log)
    return trial.suggest_float(key, float(low), float(high), step=dimension.step, log=dimension.log)
