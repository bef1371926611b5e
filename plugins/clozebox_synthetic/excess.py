"""How far above its floor a loss is; and a loss so far below it that no luck explains it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from clozebox_synthetic.floors import Floor

CERTAIN = 20.0
"""Nats: chance alone gets so far below with a probability of at most e^-20, 2 in 10^9."""


class Leak(Exception):
    """A model is better than it can be."""


class Measured(NamedTuple):
    """A loss, and the lowest that it can be on the same targets."""

    floor: Floor
    loss: float
    """Nats a target."""

    @property
    def excess(self) -> float:
        """Nats a target."""
        return self.loss - self.floor.mean

    @property
    def impossible(self) -> bool:
        """Whether it is further below the floor than chance can bring it.

        Whoever gives the true answers the probabilities q where the best that can be said is p, has
        q / p = 1 on average at most, whatever the model. So has the product over rows, which are
        independent, of the geometric mean over the at most m targets of a row (Hoelder). That it
        comes to e^a, which is to be m * a nats below the floor, is therefore at most e^-a likely
        (Markov). Rows of pairs share documents, and this is not quite exact for them.
        """
        below = -self.excess * self.floor.targets
        return below > CERTAIN * self.floor.most_in_a_row

    def metrics(self, name: str) -> dict[str, float]:
        """``<name>_floor``, ``_excess``, and of pairs ``_error_floor``."""
        found = {f"{name}_floor": self.floor.mean, f"{name}_excess": self.excess}
        if self.floor.errors is not None:
            found[f"{name}_error_floor"] = self.floor.errors / self.floor.targets
        return found


def refuse_leaks(measured: Mapping[str, Measured]) -> None:
    """Stop a run that cannot be right, before its numbers are believed.

    Raises:
        Leak: a loss is below its floor, and not by chance.
    """
    told = [
        f"{name}_loss is {one.loss:.4f} nats a target, and cannot be below {one.floor.mean:.4f}"
        for name, one in measured.items()
        if one.impossible
    ]
    if told:
        raise Leak(
            "; ".join(told)
            + ": the model is shown what it should not see (attention that looks too far, an "
            "answer in its input, held-out text in training), or the loss is summed wrongly"
        )
