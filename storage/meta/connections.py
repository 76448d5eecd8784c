"""Connections that stay open, lent to one thread at a time.

SQLAlchemy's own pool costs 25 µs a loan, more than a small transaction on SQLite; here a loan is a
``pop`` from a list. Whether a connection still lives is found out by the statement that opens the
transaction (``Database`` retries that one), so no ping is sent.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from sqlalchemy.engine import Connection

from storage.base.errors import UnavailableError


class ConnectionsBusyError(UnavailableError):
    """All connections to the metadata database are lent, and none came back in time."""

    code = "database_busy"


class Connections:
    """At most ``limit`` connections; the one that came back last is lent first."""

    def __init__(self, connect: Callable[[], Connection], *, limit: int, patience: float) -> None:
        self._connect = connect
        self._free = threading.BoundedSemaphore(limit)
        self._patience = patience  # seconds
        self._idle: deque[Connection] = deque()  # its own operations are atomic
        self._closed = False

    def take(self) -> Connection:
        """Lend a connection; raises ``ConnectionsBusyError`` after the patience is over."""
        if not self._free.acquire(timeout=self._patience):
            raise ConnectionsBusyError(
                "the metadata database is busy", hint="try again in a few seconds"
            )
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return self._connect()
        except BaseException:
            self._free.release()
            raise

    def give(self, connection: Connection) -> None:
        """Take back a connection that is outside a transaction."""
        self._idle.append(connection)
        if self._closed:
            self.clear()
        self._free.release()

    def drop(self, connection: Connection) -> None:
        """Take back a connection that broke: it and all idle ones, likely as dead, are closed."""
        _close(connection)
        self.clear()
        self._free.release()

    def clear(self) -> None:
        """Close what is idle."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            _close(connection)

    def close(self) -> None:
        """Close what is idle now, and the rest as it comes back."""
        self._closed = True
        self.clear()


def _close(connection: Connection) -> None:
    connection.invalidate()  # closes the driver's connection and never raises if that is dead
    connection.close()
