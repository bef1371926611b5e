"""The arm of an experiment that an option names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clozebox.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from clozebox.config import Arm, Experiment


def chosen_arm(experiment: Experiment, name: str | None) -> Arm:
    """The arm of that name; the first when none is named.

    Raises:
        UserError: there is no such arm.
    """
    arms = {arm.name: arm for arm in experiment.arms}
    name = experiment.arms[0].name if name is None else name
    if name not in arms:
        raise UserError(
            f"--arm {name}: {experiment.path} has no such arm{did_you_mean(name, arms)} "
            f"(arms: {', '.join(arms)})"
        )
    return arms[name]
