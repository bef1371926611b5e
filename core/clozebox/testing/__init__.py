"""The contracts that a plugin is checked against."""

from clozebox.testing.check import assert_passes, check
from clozebox.testing.verdict import Verdict

__all__ = ["Verdict", "assert_passes", "check"]
