"""What went wrong, said to the person who can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: the command line prints the message alone and exits with code 2."""


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """A clause such as ``; did you mean 'rate'?``, or an empty string when nothing is near."""
    near = difflib.get_close_matches(given, sorted(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
