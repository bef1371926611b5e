"""The Optuna side of a sweep: where its studies are kept, and what they promise on a resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from clozebox.config.settings import Experiment, Sweep
from clozebox.errors import UserError
from clozebox.sweep.hosts import CLIENT_TIMEOUTS, alone_in, lost
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
    url = with_driver(url) if url else _sqlite_url(root.resolve() / "study.db")
    options = _options(url)
    try:
        with FolderLock.acquire(root), _making_tables(url, options):
            database = RDBStorage(url, engine_kwargs=options)
            _hurry(database)
    except Exception as error:  # whatever the driver of the day raises
        first = str(error).strip().partition("\n")[0]
        raise UserError(f"cannot open the study at {_shown(url)}: {first}{_hint(error)}") from error
    try:
        yield optuna.storages.get_storage(database)
    except (SQLAlchemyError, StorageInternalError) as error:
        raise UserError(lost(error)) from error
    finally:
        database.remove_session()
        database.engine.dispose()


def with_driver(url: str) -> str:
    """A PostgreSQL URL that names no driver gets the one that `clozebox[postgres]` installs."""
    scheme, separator, rest = url.partition("://")
    bare = scheme in ("postgres", "postgresql")
    return f"postgresql+psycopg{separator}{rest}" if bare else url


def _options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": SQLITE_TIMEOUT}}
    if url.startswith("postgresql"):
        return {"connect_args": dict(CLIENT_TIMEOUTS), "pool_pre_ping": True}
    return {}


@contextmanager
def _making_tables(url: str, options: dict[str, Any]) -> Iterator[None]:
    """Two sweeps that make the tables at once would collide, also on two hosts."""
    if not url.startswith("postgresql"):
        yield
        return
    engine = create_engine(url, poolclass=NullPool, **options)
    with engine.connect() as connection, alone_in(connection, "tables"):
        yield


def _hurry(database: RDBStorage) -> None:
    """Half the time of a commit in SQLite, at no risk from any kill.

    Only a power cut at the worst moment of an old file system could cost the database, and a sweep
    makes it anew from the runs on disk.
    """
    if database.engine.dialect.name == "sqlite":
        database.engine.dispose()  # those that were opened without

        @event.listens_for(database.engine, "connect")
        def _connected(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA synchronous = NORMAL")


def _sqlite_url(path: Path) -> str:
    """Braces doubled, because Optuna takes the URL for a template."""
    return f"sqlite:///{path}".replace("{", "{{").replace("}", "}}")


def _shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _hint(error: Exception) -> str:
    missing = isinstance(error, ImportError) and "psycopg" in str(error)
    return "; PostgreSQL needs its driver: pip install 'clozebox[postgres]'" if missing else ""


def study_name(experiment: Experiment, run: PlannedRun) -> str:
    """One study holds a plan; of a search, each arm has its own.

    Arms that share a study would share a sampler and a pruner as well: values would be drawn where
    the *better* arm likes them, and the weaker arm's trials pruned first, which is no equal budget.
    """
    if run.is_fresh:
        return f"{experiment.name}/fresh seeds"  # which no arm can be called
    return f"{experiment.name}/{run.arm.name}" if run.is_searched else experiment.name


def make_study(storage: BaseStorage, experiment: Experiment, run: PlannedRun) -> None:
    """Make the study that ``run`` belongs to, unless it is there.

    Raises:
        UserError: it was made to judge or search differently, which Optuna would not notice.
    """
    sweep, name = experiment.sweep, study_name(experiment, run)
    wanted = _promises(sweep, run.is_searched)
    directions: list[Literal["minimize", "maximize"]] = [sweep.direction]
    if run.is_searched and sweep.against is not None:
        directions.append("minimize")
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=directions,
        load_if_exists=True,
    )
    held = study.user_attrs.get("sweep")
    if held is None:
        study.set_user_attr("sweep", wanted)
    elif _given(held) != wanted:
        raise UserError(_mismatch(name, _given(held), wanted))


def load_study(storage: BaseStorage, experiment: Experiment, run: PlannedRun) -> optuna.Study:
    """The study of ``run`` with a sampler of the run's own, none of which Optuna would restore.

    Loaded anew for each run, because a study remembers the trials of its last `ask` and shows
    them to the sampler.
    """
    sweep = experiment.sweep
    seed, trial = experiment.seeds[0], run.trial or 0
    prunes = run.is_searched and sweep.against is None
    return optuna.load_study(
        storage=storage,
        study_name=study_name(experiment, run),
        sampler=make_sampler(
            sweep.sampler if run.is_searched else "random", seed, trial, sweep.space
        ),
        pruner=make_pruner(sweep.pruner if prunes else "none", run.arm.train.evals),
    )


def fills_little_by_little(storage: BaseStorage) -> bool:
    """Whether the next runs may be enqueued when the last ones are begun.

    Not where many hosts fill one study: the lock that keeps them from filling it twice is a
    host's own, and the less often they fill the better.
    """
    backend = getattr(storage, "_backend", storage)  # Optuna wraps a database in a cache
    return isinstance(backend, RDBStorage) and backend.engine.dialect.name == "sqlite"


def _promises(sweep: Sweep, searches: bool) -> dict[str, Any]:
    """What must not change while a study grows; a plan neither samples nor prunes."""
    fields = {"metric", "direction"}
    if searches:
        fields |= {"sampler", "pruner", "space", "against"}
    return dict(_given(sweep.model_dump(mode="json", include=fields)))


def _given(value: Any) -> Any:
    """Without what is not set: a study does not change when a later version knows more options."""
    if isinstance(value, Mapping):
        return {key: _given(one) for key, one in value.items() if one is not None}
    return value


def _mismatch(name: str, held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    differing = [key for key in sorted({*held, *wanted}) if held.get(key) != wanted.get(key)]
    return "\n".join(
        [
            f"the study '{name}' was begun with other [sweep] settings:",
            *(f"  {key}: {held.get(key)!r} then, {wanted.get(key)!r} now" for key in differing),
            "put them back, rename the experiment, or delete study.db (finished runs are kept)",
        ]
    )
