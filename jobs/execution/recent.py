"""Ended jobs as this replica wrote them, for the one who is just about to ask.

A job at its end does not change, so telling it from memory is telling what the row says; only its
result can go, by time, which the reader checks, or by hand, which is why nothing is kept for long.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import timedelta

from jobs.views import JobView
from storage.base.clock import Clock
from storage.base.ids import JobId

_KEPT = timedelta(seconds=5)  # how late another replica's delete of a result may be seen
_MOST = 1000


class Recent:
    """The last ended jobs. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._views: OrderedDict[JobId, tuple[float, JobView]] = OrderedDict()
        self._lock = threading.Lock()  # guards _views

    def put(self, view: JobView) -> None:
        """Keep a job whose end is committed."""
        now = self._clock.monotonic()
        with self._lock:
            self._views[view.job.id] = (now, view)
            while len(self._views) > _MOST:
                self._views.popitem(last=False)

    def get(self, job_id: JobId) -> JobView | None:
        """The job, if it ended here a moment ago."""
        now = self._clock.monotonic()
        with self._lock:
            kept = self._views.get(job_id)
            if kept is None:
                return None
            if now - kept[0] > _KEPT.total_seconds():
                del self._views[job_id]
                return None
        view = kept[1]
        expires_at = view.result_expires_at
        return None if expires_at is not None and expires_at <= self._clock.now() else view

    def forget(self, job_id: JobId) -> None:
        """Look into the rows from now on."""
        with self._lock:
            self._views.pop(job_id, None)
