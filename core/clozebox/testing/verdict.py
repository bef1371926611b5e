"""A property, how it is tried, and what is said when it does not hold."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from clozebox.errors import UserError

Subject = TypeVar("Subject")


class Violation(Exception):
    """A property does not hold: what was seen, and the smallest example of it."""

    def __init__(self, seen: str, example: str = "") -> None:
        super().__init__(seen)
        self.seen = seen
        self.example = example


@dataclass(frozen=True)
class Property(Generic[Subject]):
    """Something that must hold of every component of a kind."""

    name: str
    promise: str
    usual_cause: str
    holds: Callable[[Subject], None]
    """Raises Violation when it does not."""


@dataclass(frozen=True)
class Verdict:
    """What became of one property."""

    name: str
    promise: str
    seconds: float
    seen: str | None = None
    """None when the property holds."""
    example: str = ""
    usual_cause: str = ""

    @property
    def passed(self) -> bool:
        return self.seen is None

    def __str__(self) -> str:
        if self.seen is None:
            return f"{self.name}: {self.promise}"
        lines = [f"{self.name} does not hold: {self.promise}", f"  seen: {self.seen}"]
        lines += [f"  {line}" for line in self.example.splitlines()]
        return "\n".join([*lines, f"  usual cause: {self.usual_cause}"])


def judge(properties: Sequence[Property[Subject]], subject: Subject) -> list[Verdict]:
    """Try every property; one that raises anything but a UserError does not hold."""
    return [_judge(one, subject) for one in properties]


def _judge(one: Property[Subject], subject: Subject) -> Verdict:
    start = time.perf_counter()
    seen, example = None, ""
    try:
        one.holds(subject)
    except Violation as violation:
        seen, example = violation.seen, violation.example
    except UserError:
        raise  # what it was given cannot be checked at all, such as a file that is not there
    except Exception as error:
        seen = f"it raised {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        example = _last_line(error)
    seconds = time.perf_counter() - start
    return Verdict(one.name, one.promise, seconds, seen, example, one.usual_cause)


def _last_line(error: Exception) -> str:
    """Where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}: {frame.line}"
