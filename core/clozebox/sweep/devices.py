"""Which GPUs the runs of a sweep compute on: each as many as it has ranks, and its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from clozebox.errors import UserError
from clozebox.sweep.plan import PlannedRun

VARIABLE = "CUDA_VISIBLE_DEVICES"


class Devices:
    """Places on devices, to be lent to runs. One that is named twice has two places."""

    def __init__(self, names: Sequence[str]) -> None:
        self._free = list(names)

    def lend(self, count: int) -> tuple[str, ...] | None:
        """``count`` different devices, or None when not so many are free."""
        different = tuple(dict.fromkeys(self._free))[:count]
        if len(different) < count:
            return None
        for name in different:
            self._free.remove(name)
        return different

    def give_back(self, names: Iterable[str]) -> None:
        """What a run that has ended was lent."""
        self._free.extend(names)


def devices_of(asked: str) -> tuple[str, ...]:
    """The devices that ``--devices`` names; ``auto``: all that this process may see.

    Raises:
        UserError: none is named, or there is none.
    """
    if asked != "auto":
        names = tuple(name.strip() for name in asked.split(","))
        if not all(names):
            raise UserError(f"--devices {asked!r}: give 'auto', or names such as 0,1")
        return names
    visible = os.environ.get(VARIABLE)
    if visible:  # a scheduler's choice
        return tuple(visible.split(","))

    import torch

    count = torch.cuda.device_count()
    if count == 0:
        raise UserError("--devices auto: no GPU is to be seen here; leave the option out")
    return tuple(str(number) for number in range(count))


def ranks_of(plan: Iterable[PlannedRun]) -> int:
    """The most devices that a run of the plan needs."""
    return max(run.arm.speed.ranks for run in plan)


def workers_for(devices: Sequence[str], ranks: int, asked: int | None) -> int:
    """How many runs to train at a time: as many as have a place, or fewer when so asked.

    Raises:
        UserError: there are not as many devices as a run needs, or as workers were asked for.
    """
    if len(set(devices)) < ranks:
        told = ",".join(devices)
        raise UserError(f"--devices {told}: a run with speed.ranks = {ranks} needs {ranks} of them")
    places = len(devices) // ranks
    if asked is not None and asked > places:
        raise UserError(
            f"--workers {asked}: {len(devices)} device(s) have places for {places} run(s) of "
            f"{ranks} rank(s); to let runs share a device, name it twice"
        )
    return places if asked is None else asked
