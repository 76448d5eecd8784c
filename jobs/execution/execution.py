"""One claimed job on this replica: its job in memory, and the steps not yet written.

A short statement starts, runs and ends within milliseconds; its steps are decided as they happen
and written together. One that takes longer is flushed by the watch loop, so that rows are never far
behind. The memory may only be *ahead* of the rows of the attempt that this replica owns: each write
compares the version, and finds out there if somebody else (a cancel, a reaper) was first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from jobs.lifecycle.events import Event
from jobs.lifecycle.job import Job
from jobs.lifecycle.states import JobState
from jobs.store.jobs import JobChangedError, Measures, Step, load, next_step, write, write_progress
from jobs.views import JobView, Progress
from sql.statement import PreparedStatement
from storage.base.clock import Clock
from storage.base.errors import ConflictError, UnavailableError
from storage.meta.database import Database, Tx
from storage.objects.api import StoreFullError

log = logging.getLogger(__name__)

T = TypeVar("T")
_TRY_AGAIN = timedelta(seconds=1)


class AttemptLostError(ConflictError):
    """The attempt is not this replica's any more; whatever it did must not be seen."""

    code = "attempt_lost"


class CancellingError(ConflictError):
    """The job is being cancelled; its work must stop and not be published."""

    code = "statement_cancelling"


class Execution:
    """Shared by the worker that runs it, the watch loop and whoever cancels."""

    def __init__(
        self,
        job: Job,
        plan: PreparedStatement | None,
        *,
        clock: Clock,
        timings: Mapping[str, float],
        used_before: Mapping[str, int] | None = None,
        story: Sequence[Step] | None = None,
        adopted: bool = False,
    ) -> None:
        self._plan = plan  # None: the job is no statement
        self.adopted = adopted  #: its run was started by another owner, and may live
        self.renewed_at: float | None = None  #: when its lease was, by the launcher's ``moment``
        self.stop = threading.Event()  #: set: the work must end
        self.stopped_at: float | None = None  #: when it was told to, of the clock's monotonic
        self.let_go = threading.Event()  #: set: the engine has nothing of it any more
        self.ended = threading.Event()  #: set: the worker is through with it
        self.interrupt: Callable[[], None] | None = None  #: tells the engine, while it executes
        self.condemn: Callable[[str], None] | None = None  #: kills the engine, while it holds one
        self.beside_the_end: Callable[[Tx], None] | None = None  #: in its last transaction
        self.after_the_end: Callable[[], None] | None = None  #: once that is written
        self.on_canary = False  #: the attempt's failure is tried again elsewhere, whoever's it is
        self.engine_millis: int | None = (
            None  #: that rows were waited for; None: no stream gave all
        )
        self.executor_cu_ms = 0  #: what executors of the engine used meanwhile
        self.progress = Progress()
        self.timings: dict[str, float] = dict(timings)
        self.used: dict[str, int] = {}  #: by this attempt, by meter
        self.hand_over = False  #: stopping because the replica stops: others shall go on with it
        self.touched = clock.monotonic()  #: when the rows were last written
        self._clock = clock
        self._used_before = dict(used_before or {})
        self._job = job
        self._story = None if story is None else list(story)
        self._seen = job.version
        self._steps: list[Step] = []
        self._writing = threading.RLock()

    @property
    def plan(self) -> PreparedStatement:
        """What a statement means; an error in the code for other kinds."""
        assert self._plan is not None, f"{self._job.id} has no plan"
        return self._plan

    @property
    def writes_table(self) -> bool:
        """Whether files of a table are left by an attempt that fails."""
        return self._plan is not None and self._plan.target is not None

    @property
    def job(self) -> Job:
        """As far as this replica knows."""
        return self._job

    def patiently(self, action: Callable[[], T]) -> T:
        """What ``action`` gives, tried again while a part that it needs is away or full.

        For work that is not worth doing again. Raises the part's error when the job must end.
        """
        while True:
            try:
                return action()
            except (UnavailableError, StoreFullError) as error:
                log.info("waiting", extra={"job": self._job.id, "code": error.code})
                if self._clock.wait(self.stop, _TRY_AGAIN):
                    raise

    def note_stop(self) -> None:
        """Tell the work that it must end."""
        self.stopped_at = self._clock.monotonic()
        self.stop.set()

    @property
    def unwritten(self) -> bool:
        """Whether steps wait to be written."""
        return bool(self._steps)

    @property
    def usage(self) -> Mapping[str, int]:
        """By meter, over all attempts."""
        meters = self._used_before.keys() | self.used.keys()
        return {
            meter: self._used_before.get(meter, 0) + self.used.get(meter, 0)
            for meter in sorted(meters)
        }

    def view(self) -> JobView | None:
        """The job as this replica has written it, the same as its rows say.

        None where others wrote some of it. A cancel by another replica is seen a moment later.
        """
        if self._story is None:
            return None
        steps = tuple(self._story)
        return JobView(
            job=steps[-1].job,
            history=tuple(step.event for step in steps),
            cost=None if self._plan is None else self._plan.cost,
            findings=() if self._plan is None else self._plan.findings,
            timings=dict(self.timings),
            progress=self.progress,
            usage=self.usage,
        )

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Keep the milliseconds of the block as the timing ``name``."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self.timings[name] = round((self._clock.monotonic() - began) * 1000, 3)

    def note_progress(self, database: Database) -> None:
        """Write how much of the result is there, for who asks another replica."""
        with self._writing:
            with database.transaction() as tx:
                write_progress(
                    tx,
                    self._job.id,
                    seen=self._seen,
                    rows=self.progress.rows,
                    bytes=self.progress.bytes,
                )
            self.touched = self._clock.monotonic()

    def step(self, event: Event) -> None:
        """Decide what becomes of the job; the rows follow with the next write.

        Raises ``CancellingError`` when somebody is cancelling it.
        """
        with self._writing:
            self._check()
            self._add(event)

    def write(self, database: Database, event: Event | None = None) -> None:
        """Write all steps so far, and ``event``'s. Raises as ``finishing``."""
        if self._steps or event is not None:
            with self.finishing(database, event):
                pass

    @contextmanager
    def finishing(self, database: Database, event: Event | None) -> Iterator[Tx]:
        """A transaction that writes all steps and ``event``'s when the block is through.

        The steps are compared and set *first*, so that what the block does beside them (a commit
        of files, a bill) is never done by an attempt that was lost. Raises ``CancellingError`` and
        ``AttemptLostError`` when somebody else was first; nothing of the block is kept then. When
        the block raises, the event has not happened.
        """
        with self._writing:
            job, steps = self._job, list(self._steps)
            try:
                if event is not None:
                    self._add(event)
                with database.transaction() as tx:
                    if self._steps:
                        write(tx, self._steps, seen=self._seen, measures=self._measures())
                    yield tx
            except JobChangedError as error:
                self._job, self._steps = job, steps
                self._adopt(database, error)
            except BaseException:
                self._job, self._steps = job, steps
                raise
            if self._story is not None:
                self._story += self._steps
            self._seen = self._job.version
            self._steps = []
            self.touched = self._clock.monotonic()

    def lose(self) -> None:
        """The attempt is over for this replica: nothing of it is to be told from memory."""
        self._story = None

    def adopt(self, stored: Job) -> None:
        """Take over what another replica wrote, if it is a cancel of this attempt."""
        with self._writing:
            if stored.version > self._seen:
                self._take(stored)

    def _adopt(self, database: Database, error: JobChangedError) -> None:
        with database.read() as tx:
            stored = load(tx, self._job.id)
        if stored is None or not self._take(stored):
            self.lose()
            self.stop.set()
            raise AttemptLostError(
                f"job {self._job.id} was taken over", job_id=self._job.id
            ) from error
        raise CancellingError(
            f"job {self._job.id} is being cancelled", job_id=self._job.id
        ) from error

    def _take(self, stored: Job) -> bool:
        mine = (stored.owner, stored.attempt) == (self._job.owner, self._job.attempt)
        if not mine or stored.state is not JobState.CANCELLING:
            return False
        unwritten = self._job
        self._job = replace(
            stored,
            run_id=unwritten.run_id,
            engine_version=unwritten.engine_version,
            image=unwritten.image,
            canary_id=unwritten.canary_id,
        )
        self._seen = stored.version
        self._steps = []
        self._story = None
        return True

    def _check(self) -> None:
        if self._job.state is JobState.CANCELLING:
            raise CancellingError(f"job {self._job.id} is being cancelled", job_id=self._job.id)

    def _add(self, event: Event) -> None:
        step = next_step(self._job, event)
        if step is not None:
            self._steps.append(step)
            self._job = step.job

    def _measures(self) -> Measures:
        return Measures(
            timings=self.timings,
            usage=dict(self.usage),
            rows=self.progress.rows,
            bytes=self.progress.bytes,
        )
