"""The threads that run claimed statements, and which statements they run now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from jobs.execution.execution import Execution
from storage.base.clock import Clock
from storage.base.ids import JobId

_STOPPERS = 8


class Workers:
    """At most ``seats`` statements at a time. A seat is taken before a job is claimed.

    ``run`` brings a statement to its end and never raises; ``stop_work`` makes its engine let go.
    ``ended`` is called after each statement.
    """

    def __init__(
        self,
        *,
        seats: int,
        run: Callable[[Execution], None],
        stop_work: Callable[[Execution], None],
        ended: Callable[[Execution], None],
    ) -> None:
        self._run = run
        self._stop_work = stop_work
        self._ended = ended
        self._seats = seats
        self._active: dict[JobId, Execution] = {}
        self._closed = False
        self._state = threading.Condition()  #: guards the three above
        self._threads = ThreadPoolExecutor(max(seats, 1), thread_name_prefix="statement")
        self._stoppers = ThreadPoolExecutor(_STOPPERS, thread_name_prefix="stopper")

    def take_seats(self, most: int = 1) -> int:
        """Take up to ``most`` free seats; none after ``close``."""
        with self._state:
            taken = 0 if self._closed else max(0, min(most, self._seats))
            self._seats -= taken
            return taken

    def leave_seats(self, count: int = 1) -> None:
        """Give back seats in which nothing was started."""
        with self._state:
            self._seats += count

    def start(self, execution: Execution) -> None:
        """Run ``execution`` in a seat that was taken."""
        with self._state:
            self._active[execution.job.id] = execution
        self._threads.submit(self._work, execution)

    def stop(self, execution: Execution) -> None:
        """Make the work end; returns at once. Twice is the same as once."""
        if not execution.stop.is_set():
            execution.stop.set()
            self._stoppers.submit(self._stop_work, execution)

    def find(self, job_id: JobId) -> Execution | None:
        """The statement, if it runs here."""
        return self._active.get(job_id)

    def active(self) -> tuple[Execution, ...]:
        """All that run here now."""
        with self._state:
            return tuple(self._active.values())

    def close(self) -> None:
        """Take nothing more; what runs goes on."""
        with self._state:
            self._closed = True

    def wait_idle(self, timeout: timedelta, clock: Clock) -> bool:
        """Wait until nothing runs here; false when it took too long."""
        until = clock.monotonic() + timeout.total_seconds()
        with self._state:
            while self._active:
                left = until - clock.monotonic()
                if left <= 0:
                    return False
                self._state.wait(min(left, 1.0))
            return True

    def shut(self) -> None:
        """End the threads; those that still run a statement, when it ends."""
        self.close()
        self._threads.shutdown(wait=False)
        self._stoppers.shutdown(wait=False)

    def _work(self, execution: Execution) -> None:
        try:
            self._run(execution)
        finally:
            execution.let_go.set()
            execution.ended.set()
            with self._state:
                self._active.pop(execution.job.id, None)
                self._seats += 1
                self._state.notify_all()
            self._ended(execution)
