"""Telling those who wait that a job changed. Only ever a hint: the truth is in the rows.

A change that happens in this process is told at once. One that another replica makes is found by
``poll``, a tick of a loop, which looks at the versions of the jobs that somebody here waits for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sqlalchemy import select

from jobs.store.rows import jobs
from storage.base.ids import JobId
from storage.meta.database import Database

Callback = Callable[[], None]


class Changes:
    """Who waits for which job. Callbacks are called from any thread, and must not block."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._callbacks: dict[JobId, dict[object, Callback]] = {}
        self._versions: dict[JobId, int] = {}
        self._waiters = threading.Lock()

    def subscribe(self, job_id: JobId, callback: Callback) -> Callable[[], None]:
        """Call ``callback`` after each change from now on, until the returned function is called.

        Read the job after subscribing, so that no change falls between.
        """
        key = object()
        with self._waiters:
            self._callbacks.setdefault(job_id, {})[key] = callback

        def unsubscribe() -> None:
            with self._waiters:
                waiting = self._callbacks.get(job_id, {})
                waiting.pop(key, None)
                if not waiting:
                    self._callbacks.pop(job_id, None)
                    self._versions.pop(job_id, None)

        return unsubscribe

    def notify(self, job_id: JobId) -> None:
        """Tell those who wait for the job."""
        with self._waiters:
            callbacks = tuple(self._callbacks.get(job_id, {}).values())
        for callback in callbacks:
            callback()

    def poll(self) -> int:
        """Find changes that other replicas made; returns 0, so that its loop keeps its pace."""
        with self._waiters:
            waited = list(self._callbacks)
        for start in range(0, len(waited), 500):
            some = waited[start : start + 500]
            with self._database.read() as tx:
                rows = tx.execute(select(jobs.c.id, jobs.c.version).where(jobs.c.id.in_(some)))
                found = {JobId(row.id): row.version for row in rows}
            for job_id, version in found.items():
                if self._is_news(job_id, version):
                    self.notify(job_id)
        return 0

    def _is_news(self, job_id: JobId, version: int) -> bool:
        """The first look counts as news: the job may have changed since the waiter read it."""
        with self._waiters:
            if job_id not in self._callbacks or self._versions.get(job_id) == version:
                return False
            self._versions[job_id] = version
            return True
