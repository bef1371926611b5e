"""The Optuna side of a sweep: where its studies are kept, and what they promise on a resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage, RDBStorage

from clozebox.config.settings import Experiment, Sweep
from clozebox.errors import UserError
from clozebox.sweep.lock import FolderLock
from clozebox.sweep.search import make_pruner, make_sampler

if TYPE_CHECKING:
    from clozebox.sweep.plan import PlannedRun

SQLITE_TIMEOUT = 60
"""Seconds that a sweep waits for another to let go of the database."""


@contextmanager
def open_storage(url: str | None, root: Path) -> Iterator[BaseStorage]:
    """The database at ``url``, or ``<root>/study.db`` when none is given.

    Without Optuna's heartbeat, which takes healthy workers for dead when the database is slow: who
    is alive is told by the lock on each run's directory.

    Raises:
        UserError: the database cannot be opened.
    """
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = url or _sqlite_url(root.resolve() / "study.db")
    connect = {"timeout": SQLITE_TIMEOUT} if url.startswith("sqlite") else {}
    try:
        with FolderLock.acquire(root):  # two sweeps that make the tables at once would collide
            database = RDBStorage(url, engine_kwargs={"connect_args": connect})
    except Exception as error:  # whatever the driver of the day raises
        first = str(error).strip().partition("\n")[0]
        raise UserError(f"cannot open the study at {url}: {first}") from error
    try:
        yield optuna.storages.get_storage(database)
    finally:
        database.remove_session()
        database.engine.dispose()


def _sqlite_url(path: Path) -> str:
    """Braces doubled, because Optuna takes the URL for a template."""
    return f"sqlite:///{path}".replace("{", "{{").replace("}", "}}")


def study_name(experiment: Experiment, run: PlannedRun) -> str:
    """One study holds a plan; of a search, each arm has its own.

    Arms that share a study would share a sampler and a pruner as well: values would be drawn where
    the *better* arm likes them, and the weaker arm's trials pruned first, which is no equal budget.
    """
    return experiment.name if run.trial is None else f"{experiment.name}/{run.arm.name}"


def make_study(storage: BaseStorage, experiment: Experiment, run: PlannedRun) -> None:
    """Make the study that ``run`` belongs to, unless it is there.

    Raises:
        UserError: it was made to judge or search differently, which Optuna would not notice.
    """
    name, wanted = study_name(experiment, run), _promises(experiment.sweep)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction=experiment.sweep.direction,
        load_if_exists=True,
    )
    held = study.user_attrs.get("sweep")
    if held is None:
        study.set_user_attr("sweep", wanted)
    elif held != wanted:
        raise UserError(_mismatch(name, held, wanted))


def load_study(storage: BaseStorage, experiment: Experiment, run: PlannedRun) -> optuna.Study:
    """The study of ``run`` with a sampler of the run's own, none of which Optuna would restore.

    Loaded anew for each run, because a study remembers the trials of its last `ask` and shows
    them to the sampler.
    """
    sweep, searching = experiment.sweep, run.trial is not None
    return optuna.load_study(
        storage=storage,
        study_name=study_name(experiment, run),
        sampler=make_sampler(
            sweep.sampler if searching else "random", experiment.seeds[0], run.trial or 0
        ),
        pruner=make_pruner(sweep.pruner if searching else "none", run.arm.train.evals),
    )


def _promises(sweep: Sweep) -> dict[str, Any]:
    """What must not change while a study grows; a plan neither samples nor prunes."""
    fields = {"metric", "direction"} | ({"sampler", "pruner", "space"} if sweep.space else set())
    return sweep.model_dump(mode="json", include=fields)


def _mismatch(name: str, held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    differing = [key for key in sorted({*held, *wanted}) if held.get(key) != wanted.get(key)]
    return "\n".join(
        [
            f"the study '{name}' was begun with other [sweep] settings:",
            *(f"  {key}: {held.get(key)!r} then, {wanted.get(key)!r} now" for key in differing),
            "put them back, rename the experiment, or delete study.db (finished runs are kept)",
        ]
    )
