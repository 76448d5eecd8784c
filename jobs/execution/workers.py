"""The threads that run claimed jobs, and which jobs they run now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from jobs.execution.execution import Execution
from jobs.execution.lanes import LANES, Lane, lane_of
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import RUNS
from storage.base.clock import Clock
from storage.base.ids import JobId

_STOPPERS = 8


class Workers:
    """At most ``seats`` jobs of a lane at a time. A seat is taken before a job is claimed.

    ``run`` brings a job to its end and never raises; ``stop_work`` makes its work let go.
    ``ended`` is called after each job.
    """

    def __init__(
        self,
        *,
        seats: Mapping[Lane, int],
        run: Callable[[Execution], None],
        stop_work: Callable[[Execution], None],
        ended: Callable[[Execution], None],
    ) -> None:
        self._run = run
        self._stop_work = stop_work
        self._ended = ended
        self._seats = {lane: seats.get(lane, 0) for lane in LANES}
        self._active: list[Execution] = []  # a lost attempt may be there beside the next one
        self._closed = False
        self._state = threading.Condition()  #: guards the three above
        self._threads = {
            lane: ThreadPoolExecutor(max(count, 1), thread_name_prefix=str(lane))
            for lane, count in self._seats.items()
        }
        self._stoppers = ThreadPoolExecutor(_STOPPERS, thread_name_prefix="stopper")

    def take_seats(self, lane: Lane, most: int = 1) -> int:
        """Take up to ``most`` free seats; none after ``close``."""
        with self._state:
            taken = 0 if self._closed else max(0, min(most, self._seats[lane]))
            self._seats[lane] -= taken
            return taken

    def leave_seats(self, lane: Lane, count: int = 1) -> None:
        """Give back seats in which nothing was started."""
        with self._state:
            self._seats[lane] += count

    def start(self, execution: Execution) -> None:
        """Run ``execution`` in a seat that was taken."""
        with self._state:
            self._active.append(execution)
        self._threads[lane_of(execution.job.kind, execution.job.depth)].submit(
            self._work, execution
        )

    def stop(self, execution: Execution) -> None:
        """Make the work end; returns at once. Twice is the same as once.

        The run of a batch or task that is handed over goes on: it is only let go of.
        """
        if execution.stopped_at is None:
            execution.note_stop()
            if not (execution.hand_over and execution.job.kind in RUNS):
                self._stoppers.submit(self._stop_work, execution)

    def find(self, job_id: JobId) -> Execution | None:
        """The job, if it runs here: the last attempt at it."""
        with self._state:
            return next((each for each in reversed(self._active) if each.job.id == job_id), None)

    def runs_attempt(self, job: Job) -> bool:
        """Whether this very attempt at the job is under way here."""
        found = self.find(job.id)
        return found is not None and found.job.attempt == job.attempt

    def active(self) -> tuple[Execution, ...]:
        """All that run here now."""
        with self._state:
            return tuple(self._active)

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
        """End the threads; those that still run a job, when it ends."""
        self.close()
        for threads in self._threads.values():
            threads.shutdown(wait=False)
        self._stoppers.shutdown(wait=False)

    def _work(self, execution: Execution) -> None:
        try:
            self._run(execution)
        finally:
            execution.let_go.set()
            execution.ended.set()
            with self._state:
                self._active.remove(execution)
                self._seats[lane_of(execution.job.kind, execution.job.depth)] += 1
                self._state.notify_all()
            self._ended(execution)
