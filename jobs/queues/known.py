"""Queue definitions as they were a moment ago, for what is decided before the transaction."""

from __future__ import annotations

import threading
from datetime import timedelta

from jobs.queues import store
from jobs.queues.definitions import QueueDef
from storage.base.clock import Clock
from storage.base.ids import ProjectId
from storage.meta.database import Database

_KEPT = timedelta(seconds=1)  # how late a change by another replica may be seen
_MOST = 10_000


class KnownQueues:
    """Reads each queue once a second at most. Limits that must hold are read again, locked."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[tuple[ProjectId, str], tuple[float, QueueDef]] = {}
        self._lock = threading.Lock()  # guards _known

    def get(self, project_id: ProjectId, name: str) -> QueueDef:
        """The queue. Raises ``QueueMissingError`` with near names."""
        now = self._clock.monotonic()
        with self._lock:
            known = self._known.get((project_id, name))
        if known is not None and now - known[0] <= _KEPT.total_seconds():
            return known[1]
        with self._database.read() as tx:
            queue = store.get(tx, project_id, name)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[project_id, name] = (now, queue)
        return queue

    def forget(self) -> None:
        """Read all again: something was changed here."""
        with self._lock:
            self._known.clear()
