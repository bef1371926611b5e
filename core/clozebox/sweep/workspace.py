"""Where an experiment's runs are on disk, and what they may not do: change their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clozebox.config import with_overrides
from clozebox.config.settings import Arm, Experiment
from clozebox.errors import UserError
from clozebox.sweep.plan import PlannedRun
from clozebox.training import RunDirectory
from clozebox.training.files import write_json

if TYPE_CHECKING:
    from clozebox.registry import Registry

VALUES_FILE = "trial.json"


@dataclass(frozen=True)
class Workspace:
    """Where an experiment is trained, and with what."""

    experiment: Experiment
    registry: Registry
    runs: Path
    cache: Path
    plugins: tuple[Path, ...] = ()
    disabled: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The experiment's own folder."""
        return self.runs / self.experiment.name

    def arm_of(self, run: PlannedRun, values: Mapping[str, Any]) -> Arm:
        """The run's arm, taking on the values of the trial.

        Raises:
            ConfigError: an arm cannot have these values.
        """
        return with_overrides(run.arm, values, self.registry) if values else run.arm

    def create(self, run: PlannedRun, values: Mapping[str, Any]) -> RunDirectory:
        """The run's directory, its arm taking on the values of the trial.

        Raises:
            UserError: an arm cannot have these values, or the directory holds a run with others.
        """
        return RunDirectory.create(
            self.root / run.folder,
            experiment=self.experiment,
            arm=self.arm_of(run, values),
            seed=run.seed,
            cache=self.cache,
            plugins=self.plugins,
            disabled=self.disabled,
            trial=run.trial,
        )

    def check_unchanged(self, plan: Sequence[PlannedRun]) -> None:
        """Refuse to mix settings: a run on disk was made with what its arm says today.

        Raises:
            UserError: naming every run that holds other settings, and what differs.
        """
        problems = []
        for run in plan:
            directory = self.root / run.folder
            if (directory / "resolved.json").exists():
                try:
                    self.create(run, saved_values(directory))
                except UserError as error:
                    problems.append(str(error))
        if problems:
            raise UserError("\n".join(problems))


def saved_values(directory: Path) -> dict[str, Any]:
    """The values that a trial was given, kept beside its run; empty when there are none."""
    try:
        values: dict[str, Any] = json.loads((directory / VALUES_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return values


def save_values(directory: Path, values: Mapping[str, Any]) -> None:
    """Keep a trial's values where its run is, so that the run outlives the study's database."""
    write_json(directory / VALUES_FILE, values)
