"""What is wrong with a data file: many problems at once, each with file, line and reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from clozebox.errors import UserError

SHOWN = 12
ENOUGH = 1000
"""A file of another kind altogether is not read to its end."""


class Faults:
    """Collects the problems of the files of a task."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.passed_over: Counter[Path] = Counter()
        """Lines of each file that are left out, as the layout allows."""

    def add(self, path: Path, line: int | None, reason: str) -> None:
        """Note a problem.

        Raises:
            UserError: it was one too many.
        """
        place = f"{path}" if line is None else f"{path}:{line}"
        self.lines.append(f"{place}: {reason}")
        if len(self.lines) >= ENOUGH:
            self.settle()

    def settle(self) -> None:
        """Go on only when there is nothing wrong.

        Raises:
            UserError: the first problems, and how many more there are.
        """
        if not self.lines:
            return
        shown = self.lines[:SHOWN]
        if len(self.lines) > SHOWN:
            shown.append(f"and {len(self.lines) - SHOWN} more")
        many = f"{len(self.lines)} problems in the data:\n  " if len(self.lines) > 1 else ""
        raise UserError(many + "\n  ".join(shown))
