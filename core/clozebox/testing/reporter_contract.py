"""What must hold of every reporter."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from clozebox.components import ReporterConfig
from clozebox.config.settings import Experiment, Sweep
from clozebox.testing.bench import Bench
from clozebox.testing.verdict import Property, Violation
from clozebox.training import RunDirectory

METRICS = {"train/mlm_loss": 2.5, "optim/lr": 1e-3, "perf/tokens_per_second": 1e4}
EVALUATION = {"eval/cloze_loss": 2.75}


@dataclass(frozen=True, eq=False)
class ReporterCase:
    """A reporter."""

    config: ReporterConfig
    seed: int

    def tell(self, folder: Path, first_step: int, state: str) -> None:
        """One session of a run, from its start to the end that ``state`` names."""
        reporter = self.config.build()
        arm = Bench(self.seed).arm([])
        experiment = Experiment(
            "bench", "Does it report?", folder / "bench.toml", "", (arm,), (0,), Sweep(), {}
        )
        run = RunDirectory.create(folder, experiment=experiment, arm=arm, seed=0, cache=folder)
        reporter.start(run, arm, first_step)
        for step in (first_step, first_step + 10):
            reporter.log(step, METRICS)
        reporter.log(first_step + 10, EVALUATION)
        reporter.finish(state, EVALUATION if state == "done" else {})


def it_follows_a_run_to_any_end(case: ReporterCase) -> None:
    for state in ("done", "failed", "diverged", "interrupted"):
        with tempfile.TemporaryDirectory() as folder:
            case.tell(Path(folder), 1, state)


def it_takes_a_run_up_again(case: ReporterCase) -> None:
    with tempfile.TemporaryDirectory() as folder:
        case.tell(Path(folder), 1, "interrupted")
        case.tell(Path(folder), 6, "done")


def it_writes_beside_the_run_alone(case: ReporterCase) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        case.tell(run, 1, "done")
        strange = [path.name for path in Path(folder).iterdir() if path != run]
        if strange:
            raise Violation(f"it wrote {', '.join(strange)} beside the run's own folder")


PROPERTIES: tuple[Property[ReporterCase], ...] = (
    Property(
        "ends",
        "it follows a run to any of its ends",
        "a result that is taken for granted: a run that fails has none",
        it_follows_a_run_to_any_end,
    ),
    Property(
        "resume",
        "a run that was interrupted is taken up again",
        "a file that must not exist yet",
        it_takes_a_run_up_again,
    ),
    Property(
        "place",
        "what it writes stands in the run's own folder",
        "a path relative to the working directory, which all runs share",
        it_writes_beside_the_run_alone,
    ),
)
