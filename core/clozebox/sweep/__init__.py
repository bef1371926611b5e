"""Training every run of an experiment: planned, exactly once, by any number of workers."""

from clozebox.sweep.plan import PlannedRun, plan_runs
from clozebox.sweep.run import SweepResult, run_sweep
from clozebox.sweep.workspace import Workspace

__all__ = ["PlannedRun", "SweepResult", "Workspace", "plan_runs", "run_sweep"]
