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
from clozebox.errors import UserError


def make_sampler(name: str, seed: int, trial: int) -> BaseSampler:
    """A sampler for one trial, seeded by the trial's index.

    A sampler that lived through the sweep would draw differently with other numbers of workers, and
    two sweeps side by side would draw the same points; one sampler a trial does neither. The seed
    does not depend on the arm, so that random search tries the same points on every arm.

    Raises:
        UserError: the sampler needs a package that is not installed.
    """
    if name in NEEDS_SCIPY and importlib.util.find_spec("scipy") is None:
        raise UserError(f"the sampler '{name}' needs SciPy: pip install 'clozebox[stats]'")
    return SAMPLERS[name](seed, zlib.crc32(f"{seed}/{trial}".encode()))


def _tpe(seed: int, own_seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=own_seed)


def _random(seed: int, own_seed: int) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=own_seed)


def _gp(seed: int, own_seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(seed=own_seed, deterministic_objective=False)


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
SAMPLERS: Mapping[str, Callable[[int, int], BaseSampler]] = MappingProxyType(
    {"tpe": _tpe, "random": _random, "gp": _gp, "qmc": _qmc}
)


def make_pruner(name: str, evals: int) -> BasePruner:
    """A pruner of trials that are evaluated ``evals`` times each, the last time at the end."""
    return PRUNERS[name](evals)


def _none(evals: int) -> BasePruner:
    return optuna.pruners.NopPruner()


def _median(evals: int) -> BasePruner:
    # Not inside a PatientPruner: it waits for the trial's own loss to rise, which the loss of a
    # sound pretraining run never does, so that nothing would ever be pruned.
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)


def _halving(evals: int) -> BasePruner:
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)


def _hyperband(evals: int) -> BasePruner:
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=evals, reduction_factor=3)


PRUNERS: Mapping[str, Callable[[int], BasePruner]] = MappingProxyType(
    {"none": _none, "median": _median, "halving": _halving, "hyperband": _hyperband}
)


def suggest(trial: optuna.Trial, space: Mapping[str, SearchSpace]) -> dict[str, Any]:
    """One value for each dimension; the same ones again when the trial already has them."""
    return {key: _suggest_one(trial, key, dimension) for key, dimension in space.items()}


def _suggest_one(trial: optuna.Trial, key: str, dimension: SearchSpace) -> bool | int | float | str:
    if dimension.choices is not None:
        return cast("bool | int | float | str", trial.suggest_categorical(key, dimension.choices))
    low, high = dimension.values()
    if dimension.integer:
        step = int(dimension.step or 1)
        return trial.suggest_int(key, int(low), int(high), step=step, log=dimension.log)
    return trial.suggest_float(key, float(low), float(high), step=dimension.step, log=dimension.log)
