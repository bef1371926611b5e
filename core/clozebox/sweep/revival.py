"""Which killed runs are taken up again from their checkpoints: those that come farther."""

from __future__ import annotations

import optuna

from clozebox.sweep.outcome import Outcome
from clozebox.training import RunDirectory

LIVES = 5
"""So often in a row a run may be killed without coming farther; it would be killed there for ever.

A machine that is taken away, or a person, kills at any place; a lack of memory at the same one.
"""


def after_a_kill(trial: optuna.Trial, directory: RunDirectory, killed: Outcome) -> Outcome:
    """Interrupted, to be resumed; failed when that has not helped before."""
    known = trial.user_attrs
    reached, farthest = _reached(directory), int(known.get("farthest", -1))
    kills = 1 if reached > farthest else int(known.get("kills", 0)) + 1
    if kills >= LIVES:
        told = f"{killed.reason}, {kills} times without coming farther than step {reached}"
        return Outcome("failed", reason=f"{told}; it may want more memory than there is")
    trial.set_user_attr("farthest", max(reached, farthest))
    trial.set_user_attr("kills", kills)
    return Outcome("interrupted", reason=f"{killed.reason}; it will be resumed")


def _reached(directory: RunDirectory) -> int:
    """The last step that is known of."""
    saved = [folder.name.removeprefix("step-") for folder in directory.checkpoints.glob("step-*")]
    told = (directory.status() or {}).get("step") or 0
    return max([int(told), *(int(step) for step in saved if step.isdigit())])
