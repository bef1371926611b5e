"""From the runs of an experiment to an answer: statistics, verdicts, tables, page and figure."""

from clozebox.report.arms import ArmRuns
from clozebox.report.comparison import Comparison, compare_runs
from clozebox.report.verdict import Verdict, summary, verdicts

__all__ = ["ArmRuns", "Comparison", "Verdict", "compare_runs", "summary", "verdicts"]
