"""Searches on disk: runs and the study of them, without any training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from tests.core.report.synthetic import write_run

SPACE = {
    "optim.lr": FloatDistribution(1e-4, 1e-2, log=True),
    "encoder.layer_norm": CategoricalDistribution(["pre", "post"]),
    "size.num_hidden_layers": IntDistribution(1, 4),
}
PRUNED = (2, 5)
CHOSEN_ON = 0


def write_search(folder: Path, arms: tuple[str, ...] = ("masked",), trials: int = 12) -> None:
    """``optim.lr`` decides nearly all, and ``encoder.layer_norm`` nothing; two are pruned."""
    folder.mkdir(parents=True)
    for index, arm in enumerate(arms):
        draw = random.Random(index)
        study = optuna.create_study(
            study_name=f"{folder.name}/{arm}", storage=f"sqlite:///{folder}/study.db"
        )
        for number in range(trials):
            values = {
                "optim.lr": 10 ** draw.uniform(-4, -2),
                "encoder.layer_norm": draw.choice(["pre", "post"]),
                "size.num_hidden_layers": draw.randint(1, 4),
            }
            loss = 3 + 100 * abs(values["optim.lr"] - 2e-3) + 0.01 * draw.random()
            name, pruned = f"{arm}.trial-{number}", number in PRUNED
            write_trial(folder, arm, index, number, CHOSEN_ON, loss, values, pruned)
            study.add_trial(
                create_trial(
                    params=values,
                    distributions=SPACE,
                    user_attrs={"folder": f"{name}/seed-0"},
                    state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                    value=None if pruned else loss,
                )
            )


def write_trial(
    folder: Path,
    arm: str,
    index: int,
    number: int,
    seed: int,
    loss: float,
    values: dict[str, Any],
    pruned: bool = False,
) -> Path:
    """The run of a trial on one seed."""
    path = write_run(
        folder,
        f"{arm}.trial-{number}",
        seed,
        [loss + 1] if pruned else [loss + 1, loss],
        index=index,
        trial=number,
        state="interrupted" if pruned else "done",
        fingerprint=f"{index}{number:08d}",
        provenance={"parameters": 100_000 * values.get("size.num_hidden_layers", 1)},
    )
    resolved = json.loads((path / "resolved.json").read_text())
    (path / "resolved.json").write_text(json.dumps({**resolved, "arm": arm}))
    (path / "trial.json").write_text(json.dumps(values))
    return path


def tell_findings(
    folder: Path,
    trials: dict[str, list[tuple[float | None, dict[str, Any]]]],
    best: dict[str, list[int]],
    fresh: dict[str, float] | None = None,
    **more: Any,
) -> None:
    """``search.json`` as a sweep leaves it, of trials that came to a value (or None) each."""

    def one(arm: str, number: int) -> dict[str, Any]:
        value, values = trials[arm][number]
        return {
            "trial": number,
            "seed": CHOSEN_ON,
            "folder": f"{arm}.trial-{number}/seed-{CHOSEN_ON}",
            "state": "pruned" if value is None else "complete",
            "params": values,
            "value": value,
            "cost": None,
            "reason": None,
            "evaluations": {},
        }

    arms = {
        arm: {
            "trials": [one(arm, number) for number in range(len(trials[arm]))],
            "importance": {"optim.lr": 1.0},
            "best": [one(arm, number) | {"fresh": fresh or {}} for number in best[arm]],
        }
        for arm in sorted(trials)
    }
    space = {"optim.lr": {"low": 1e-4, "high": 1e-2, "log": True, "integer": False}}
    told = {"metric": "eval/cloze_loss", "direction": "minimize", "space": space, **more}
    (folder / "search.json").write_text(
        json.dumps({"experiment": folder.name, **told, "arms": arms})
    )
