"""Searches on disk: runs and the study of them, without any training."""

from __future__ import annotations

import json
import random
from pathlib import Path

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


def write_search(folder: Path, arms: tuple[str, ...] = ("masked",), trials: int = 10) -> None:
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
            path = write_run(
                folder,
                name,
                0,
                [loss + 1] if pruned else [loss + 1, loss],
                index=index,
                trial=number,
                state="interrupted" if pruned else "done",
                fingerprint=f"{index}{number:08d}",
                provenance={"parameters": 100_000 * values["size.num_hidden_layers"]},
            )
            resolved = json.loads((path / "resolved.json").read_text())
            (path / "resolved.json").write_text(json.dumps({**resolved, "arm": arm}))
            (path / "trial.json").write_text(json.dumps(values))
            study.add_trial(
                create_trial(
                    params=values,
                    distributions=SPACE,
                    user_attrs={"folder": f"{name}/seed-0"},
                    state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                    value=None if pruned else loss,
                )
            )
