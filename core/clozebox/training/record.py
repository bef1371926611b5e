"""What a run tells the world at log points: metrics.jsonl, reporters, status.json, the console."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from clozebox.config.settings import Arm
from clozebox.training.budget import Plan, Spent
from clozebox.training.console import Console
from clozebox.training.metrics_log import MetricsLog
from clozebox.training.reporter import Reporter
from clozebox.training.run_directory import RunDirectory


class Record:
    """Every metric is written once, to metrics.jsonl first; the others are views of it."""

    def __init__(
        self,
        run: RunDirectory,
        arm: Arm,
        plan: Plan,
        spent: Spent,
        reporters: Sequence[Reporter],
        console: Console,
    ) -> None:
        self._run, self._plan, self._console = run, plan, console
        self._reporters = list(reporters)
        self._log = MetricsLog(run.metrics_path, spent.step)
        self._before = (spent.tokens, spent.seconds)
        self._tell(lambda reporter: reporter.start(run, arm, spent.step + 1))
        run.write_status("running", step=spent.step, steps=plan.steps)

    def log(self, spent: Spent, means: Mapping[str, float], lr: float) -> None:
        """A log point: means since the last one, by their bare names."""
        tokens, seconds = self._before
        self._before = (spent.tokens, spent.seconds)
        metrics = {f"train/{name}": value for name, value in means.items()}
        metrics["optim/lr"] = lr
        metrics["perf/tokens_per_second"] = (spent.tokens - tokens) / max(
            spent.seconds - seconds, 1e-9
        )
        self._write(spent, metrics)
        self._console.step(spent, self._plan, metrics)

    def log_evaluation(self, spent: Spent, metrics: Mapping[str, float]) -> None:
        self._write(spent, metrics)
        self._console.evaluation(spent, metrics)
        self._run.write_status("running", step=spent.step, steps=self._plan.steps)

    def finishes_evaluation(self, spent: Spent) -> None:
        """What is said to somebody who asks to stop during an evaluation."""
        self._console.say(f"stopping; the evaluation of step {spent.step} is finished first")

    def sync(self) -> None:
        self._log.sync()

    def finish(self, state: str, spent: Spent, **facts: object) -> None:
        """The last status, and the end of every reporter: also of a run that failed."""
        self._log.close()
        self._run.write_status(state, step=spent.step, steps=self._plan.steps, **facts)
        result = facts.get("result")
        last = result if isinstance(result, Mapping) else {}
        self._tell(lambda reporter: reporter.finish(state, last))

    def _write(self, spent: Spent, metrics: Mapping[str, float]) -> None:
        self._log.write({**spent.as_metrics(), **metrics})
        self._tell(lambda reporter: reporter.log(spent.step, metrics))

    def _tell(self, call: Callable[[Reporter], None]) -> None:
        """A reporter that raises is named and left out: the run and its record go on."""
        for reporter in list(self._reporters):
            try:
                call(reporter)
            except Exception as error:
                self._reporters.remove(reporter)
                self._console.say(f"{type(reporter).__name__} failed and is left out: {error!r}")


class Silence(Record):
    """What a rank that does not write has in its place."""

    def __init__(self) -> None: ...

    def log(self, spent: Spent, means: Mapping[str, float], lr: float) -> None: ...

    def log_evaluation(self, spent: Spent, metrics: Mapping[str, float]) -> None: ...

    def finishes_evaluation(self, spent: Spent) -> None: ...

    def sync(self) -> None: ...

    def finish(self, state: str, spent: Spent, **facts: object) -> None: ...
