"""Step, loop and the run on disk. What is imported here costs no torch."""

from clozebox.training.reporter import Reporter
from clozebox.training.run_directory import RunDirectory, all_runs

__all__ = ["Reporter", "RunDirectory", "all_runs"]
