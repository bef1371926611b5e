"""Who trains what, where one machine's kernel cannot tell: locks that every host sees.

PostgreSQL's advisory locks belong to a connection and go with it, as a file lock goes with its
process: no heartbeat, no clock, nothing stale. A sweep that dies, or whose host does, loses them; a
sweep that is merely cut off notices before the server gives up on it, and stops what it trains.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from clozebox.errors import UserError
from clozebox.sweep.lock import FolderLock

CHECK_SECONDS = 5.0
"""How often a sweep makes sure that it still has its locks."""
CLIENT_TIMEOUTS = MappingProxyType(
    {
        "connect_timeout": 10,
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 15_000,  # milliseconds
    }
)
"""libpq's: a sweep that is cut off knows it within 20 seconds ..."""
FENCE_SECONDS = 30.0
"""... gives what it trains so long to save ..."""
SERVER_TIMEOUTS = MappingProxyType(
    {
        "tcp_keepalives_idle": 60,
        "tcp_keepalives_interval": 10,
        "tcp_keepalives_count": 6,
        "tcp_user_timeout": 120_000,
    }
)
"""... and is gone before the server gives its locks to others, after 60 to 120 seconds."""


class Locks:
    """The locks of one host, which are all there are where its file is the database."""

    spans_hosts = False

    def try_claim(self, folder: Path, name: str) -> FolderLock | None:
        """The right to train the run ``name`` in ``folder``; None when somebody else has it."""
        return FolderLock.try_acquire(folder)

    @contextmanager
    def alone(self, root: Path) -> Iterator[None]:
        """Nobody else is inside, for what must not happen twice."""
        with FolderLock.acquire(root):
            yield

    def require(self) -> None:
        """Raises `UserError` when the locks are lost."""

    def close(self) -> None:
        """Let go of everything."""


class PostgresLocks(Locks):
    """Advisory locks of a connection of our own, besides those of the host."""

    spans_hosts = True

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        for setting, value in SERVER_TIMEOUTS.items():
            self._connection.execute(text(f"SET {setting} = {value}"))
        self._backend = self._ask("SELECT pg_backend_pid()")
        self._checked = time.monotonic()

    def try_claim(self, folder: Path, name: str) -> FolderLock | None:
        lock = FolderLock.try_acquire(folder)
        if lock is None:
            return None
        if not self._ask("SELECT pg_try_advisory_lock(:key)", _key(name)):
            lock.release()
            return None
        return _SharedLock(lock.descriptor, self, name)

    @contextmanager
    def alone(self, root: Path) -> Iterator[None]:
        with FolderLock.acquire(root), alone_in(self._connection, root.name):
            yield

    def release(self, name: str) -> None:
        """Give one lock back. When the connection is gone, so is the lock."""
        try:
            self._ask("SELECT pg_advisory_unlock(:key)", _key(name))
        except SQLAlchemyError:
            return

    def require(self) -> None:
        if time.monotonic() - self._checked < CHECK_SECONDS:
            return
        try:
            backend = self._ask("SELECT pg_backend_pid()")
        except SQLAlchemyError as error:
            raise UserError(lost(error)) from error
        if backend != self._backend:  # SQLAlchemy has connected again: the locks are another's
            raise UserError(lost("it was connected to anew"))
        self._checked = time.monotonic()

    def close(self) -> None:
        self._connection.invalidate()  # closed, and not kept with its locks for others to use
        self._connection.close()

    def _ask(self, question: str, key: int | None = None) -> int:
        values = {} if key is None else {"key": key}
        return int(self._connection.execute(text(question), values).scalar_one())


class _SharedLock(FolderLock):
    """A folder's lock, and beside it the one that other hosts see."""

    def __init__(self, descriptor: int, locks: PostgresLocks, name: str) -> None:
        super().__init__(descriptor)
        self._locks, self._name = locks, name

    def release(self) -> None:
        self._locks.release(self._name)
        super().release()


def locks_of(storage: BaseStorage) -> Locks:
    """The locks that whoever opens this storage sees."""
    backend = getattr(storage, "_backend", storage)  # Optuna wraps a database in a cache
    if isinstance(backend, RDBStorage) and backend.engine.dialect.name == "postgresql":
        return PostgresLocks(backend.engine)
    return Locks()


@contextmanager
def alone_in(connection: Connection, name: str) -> Iterator[None]:
    """Hold everybody else off who asks a PostgreSQL database for the same name."""
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _key(name)})
    try:
        yield
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _key(name)})


def _key(name: str) -> int:
    """64 bits, signed, as PostgreSQL numbers its locks."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"clozebox").digest()
    return int.from_bytes(digest, "big", signed=True)


def lost(why: object) -> str:
    first = str(why).strip().partition("\n")[0]
    return (
        f"lost the study's database ({first}): what was being trained here was asked to save; the "
        "same command goes on"
    )
