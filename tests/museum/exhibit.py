"""An exhibit: a bug of a real project, rebuilt as a small component, and what must flag it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from clozebox.components import (
    Component,
    MaskingConfig,
    ObjectiveConfig,
    TokenObjectiveConfig,
)
from clozebox.pretraining import MaskingStrategy, Objective, TokenObjective
from clozebox.testing import Verdict
from clozebox.testing.check import CONTRACTS
from clozebox.testing.verdict import judge

Made = TypeVar("Made", bound=type)
Sought = Callable[[int], str | None]
"""Of a seed, what was said of a bug; None if nothing was."""


@dataclass(frozen=True)
class Exhibit:
    """A mutant of something that is right."""

    name: str
    flagged_by: str
    """The property of its contract that must not hold, or whatever else finds it."""
    project: str
    """Project, and file or issue; ``classic`` for a slip that no single project is known for."""
    number: int | None
    """Of the seventeen in the README; None for the others."""
    story: str
    settings: Component | None
    """None for what is no component."""
    sought: Sought | None = None
    """How what is no component is found."""

    def seen(self, seed: int) -> str | None:
        """What the property that must flag it saw, or None: it was missed."""
        if self.sought is not None:
            return self.sought(seed)
        assert self.settings is not None
        [verdict] = verdicts(self.settings, seed, only=self.flagged_by)
        return verdict.seen

    def flags(self, seed: int) -> list[str]:
        """Everything that flags it."""
        if self.settings is None:
            return [] if self.seen(seed) is None else [self.flagged_by]
        return [one.name for one in verdicts(self.settings, seed) if not one.passed]


EXHIBITS: list[Exhibit] = []
TWINS: dict[str, Component] = {}
"""What the mutants were made from, which must pass."""


def verdicts(settings: Component, seed: int, only: str | None = None) -> list[Verdict]:
    """The properties of a component's contract, or one of them, tried."""
    [contract] = [one for base, one in CONTRACTS.items() if isinstance(settings, base)]
    wanted = [one for one in contract.properties if only in (None, one.name)]
    return judge(wanted, contract.subject(settings, seed))


def exhibit(
    flagged_by: str, project: str = "classic", number: int | None = None
) -> Callable[[Made], Made]:
    """Put a mutant on show: a strategy, an objective, or the settings of any component."""

    def show(made: Made) -> Made:
        settings = settings_of(made)
        EXHIBITS.append(Exhibit(made.__name__, flagged_by, project, number, _story(made), settings))
        return made

    return show


def found_by(flagged_by: str, project: str, number: int) -> Callable[[Sought], Sought]:
    """Put on show what is no component, and so is found by something else than a contract."""

    def show(sought: Sought) -> Sought:
        name = sought.__name__.title().replace("_", "")
        EXHIBITS.append(Exhibit(name, flagged_by, project, number, _story(sought), None, sought))
        return sought

    return show


def twin(made: Made) -> Made:
    """A component that is right, from which mutants are made."""
    TWINS[made.__name__] = settings_of(made)
    return made


def settings_of(made: type[Any]) -> Component:
    """The default settings of a component; a strategy or an objective without any gets some."""
    if issubclass(made, Component):
        return made()
    told = ("whole_words", "example", "needs_masking")
    declared = {name: getattr(made, name) for name in told if hasattr(made, name)}

    def build(self: Any, given: Any) -> Any:
        return made(self, given.vocabulary if issubclass(made, MaskingStrategy) else given)

    name = f"museum{_snake(made.__name__)}"
    config: Any = type(made.__name__, (_base(made),), {**declared, "name": name, "build": build})
    settings: Component = config()
    return settings


def _base(made: type) -> type[Component]:
    if issubclass(made, MaskingStrategy):
        return MaskingConfig
    assert issubclass(made, Objective)
    return TokenObjectiveConfig if issubclass(made, TokenObjective) else ObjectiveConfig


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _story(shown: Any) -> str:
    return inspect.cleandoc(shown.__doc__ or "")
