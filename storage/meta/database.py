"""The metadata database: SQLite or PostgreSQL, as equals.

Both drivers run in autocommit mode and this module opens each transaction itself, because neither
driver's own way says what kind it shall be: ``BEGIN IMMEDIATE`` for writing on SQLite, a read-only
repeatable-read snapshot for reading on PostgreSQL. On SQLite writers of this process queue at one
lock, so SQLITE_BUSY is met only when another process writes; readers run beside them (WAL).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import event, func, select, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError
from sqlalchemy.pool import NullPool

from storage.base.errors import BrokenError, InvalidInputError, ServiceError, UnavailableError
from storage.meta.connections import Connections
from storage.meta.types import NotStorableError

Tx = Connection
Dialect = Literal["sqlite", "postgresql"]

_DISK_FULL = "53100"  # SQLSTATE
_PATIENCE = 30.0  # seconds that a transaction waits for its turn before it gives up
_BEGIN: dict[tuple[str, bool], str] = {
    ("sqlite", True): "BEGIN IMMEDIATE",
    ("sqlite", False): "BEGIN",
    ("postgresql", True): "BEGIN",
    ("postgresql", False): "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}
_SQLITE_SETUP: tuple[str, ...] = (
    "PRAGMA busy_timeout = 30000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16000",  # KiB
    "PRAGMA temp_store = MEMORY",
)
_POSTGRESQL_SETUP = (
    "SET lock_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    "SET timezone = 'UTC'",
)


_LOCK_ALL = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) "
    "FROM unnest(CAST(:names AS text[])) AS name"
)


class DatabaseUnavailableError(UnavailableError):
    """The metadata database does not answer."""

    code = "database_unavailable"


class DatabaseFullError(BrokenError):
    """The disk under the metadata database is full."""

    code = "database_full"


class DatabaseBrokenError(BrokenError):
    """The file of the metadata database is damaged, or is something else."""

    code = "database_broken"


class InvalidDatabaseUrlError(InvalidInputError):
    """The setting that names the metadata database cannot be used."""

    code = "invalid_database_url"


class Database:
    """Transactions on the database at ``url``: ``sqlite:////abs/file.db`` or ``postgresql://…``.

    Thread-safe; one instance a process. Nothing is connected before the first transaction, and a
    connection that broke is replaced when the next transaction begins.
    """

    def __init__(self, url: str, *, limit: int = 16) -> None:
        self.url = _normalise(url)  #: its ``str`` hides the password
        self.dialect: Dialect = "sqlite" if self.url.drivername == "sqlite" else "postgresql"
        #: The driver's module; only the one that is used is loaded.
        self._driver: Any = self.url.get_dialect().import_dbapi()
        self._failures: tuple[type[Exception], ...] = (self._driver.OperationalError,)
        if self.dialect == "sqlite":
            reading = (*_SQLITE_SETUP, "PRAGMA query_only = ON")
            self._writers = _connections(self.url, _SQLITE_SETUP, limit=1)
            self._readers = _connections(self.url, reading, limit=limit)
        else:
            self._failures += (self._driver.InterfaceError,)
            self._writers = self._readers = _connections(self.url, _POSTGRESQL_SETUP, limit=limit)
        self._thread = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """Write: commits at the end of the block, rolls back when it raises.

        Raises ``DatabaseUnavailableError`` when the database fails, also while it commits (the
        outcome is unknown then), and ``NotStorableError`` for a value that a row cannot hold. A
        transaction in a transaction of the thread is ``RuntimeError``.
        """
        with self._run(self._writers, write=True) as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """Read one consistent snapshot: that of the first statement in the block."""
        with self._run(self._readers, write=False) as tx:
            yield tx

    def lock(self, tx: Tx, name: str) -> None:
        """Let one transaction at a time pass here, for each ``name``, until it ends.

        On SQLite a writing transaction is alone anyway.
        """
        if self.dialect == "postgresql":
            tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    def lock_all(self, tx: Tx, names: Sequence[str]) -> None:
        """As ``lock`` for each of ``names``, in their order, by one statement.

        Transactions that take several must take them in one order, or they wait for each other.
        """
        if self.dialect == "postgresql" and names:
            tx.execute(_LOCK_ALL, {"names": list(names)})

    def close(self) -> None:
        """Close all connections; those in use, when their transaction ends."""
        self._readers.close()
        self._writers.close()

    @contextmanager
    def _run(self, connections: Connections, *, write: bool) -> Iterator[Tx]:
        if getattr(self._thread, "busy", False):
            raise RuntimeError("a transaction is open in this thread: pass its tx on")
        self._thread.busy = True
        try:
            tx = self._begin(connections, _BEGIN[self.dialect, write])
            try:
                yield tx
                tx.commit()
            except BaseException as error:
                self._undo(connections, tx)
                cause = error.orig if isinstance(error, StatementError) else error
                if isinstance(cause, NotStorableError):
                    raise cause from error
                translated = self._translate(cause)
                if translated is not None:
                    raise translated from error
                raise
            connections.give(tx)
        finally:
            self._thread.busy = False

    def _begin(self, connections: Connections, begin: str) -> Tx:
        """A connection with an open transaction.

        One retry: a server that was restarted leaves dead connections, which ``drop`` clears.
        """
        for last in (False, True):
            try:
                tx = connections.take()
            except DBAPIError as error:
                raise self._translate(error.orig) or error from error
            try:
                driver: Any = tx.connection.dbapi_connection
                driver.execute(begin)
            except self._driver.Error as error:
                connections.drop(tx)
                if last:
                    raise self._translate(error) or error from error
            else:
                tx.begin()
                return tx
        raise AssertionError("the second try returns or raises")

    def _undo(self, connections: Connections, tx: Tx) -> None:
        try:
            tx.rollback()
        except DBAPIError:
            connections.drop(tx)
            return
        if tx.invalidated:
            connections.drop(tx)
        else:
            connections.give(tx)

    def _translate(self, error: BaseException | None) -> ServiceError | None:
        """Our error for the driver's, None where it tells of a mistake in a statement."""
        where = f"the metadata database ({self.url.render_as_string(hide_password=True)})"
        name = _sqlite_name(error)
        if name == "SQLITE_FULL" or getattr(error, "sqlstate", None) == _DISK_FULL:
            return DatabaseFullError(f"the disk of {where} is full", hint="free some space")
        if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            return DatabaseBrokenError(f"{where} is damaged or no database", hint="restore it")
        if isinstance(error, self._driver.DataError):
            return NotStorableError(
                "a value cannot be kept", hint="too long, too large, or a text with a NUL?"
            )
        if isinstance(error, self._failures) and name != "SQLITE_ERROR":
            reason = str(error).partition("\n")[0]
            return DatabaseUnavailableError(f"{where} does not answer: {reason}")
        return None


def _sqlite_name(error: BaseException | None) -> str:
    return getattr(error, "sqlite_errorname", "") if isinstance(error, sqlite3.Error) else ""


def _normalise(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError as error:  # its message would show the text, maybe with a password
        raise InvalidDatabaseUrlError("the database URL cannot be read", hint=_HINT) from error
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        raise InvalidDatabaseUrlError(f"no database driver {url.drivername!r}", hint=_HINT)
    if not url.database or url.database == ":memory:":
        raise InvalidDatabaseUrlError("a SQLite database needs a file", hint=_HINT)
    return url


_HINT = "write sqlite:////folder/file.db or postgresql://user:password@host/database"


def _connections(url: URL, setup: Sequence[str], *, limit: int) -> Connections:
    """Connections in autocommit mode on which the statements of ``setup`` have been run."""
    options: dict[str, Any]
    if url.drivername == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        options = {"check_same_thread": False, "isolation_level": None}
    else:
        options = {"connect_timeout": 10, "keepalives_idle": 30, "autocommit": True}
    engine = sqlalchemy.create_engine(url, connect_args=options, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def prepare(driver: Any, _record: object) -> None:
        for statement in setup:
            driver.execute(statement).close()

    return Connections(engine.connect, limit=limit, patience=_PATIENCE)
