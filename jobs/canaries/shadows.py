"""Queries that were answered are run once more on a canary, and both answers are compared.

Nobody waits for it and nobody pays for it. One at a time runs on a replica, a few wait, and what
comes when these are there is dropped and counted: the canary is told of by some queries, not all.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from jobs.canaries.canaries import Canaries
from jobs.canaries.spec import Canary
from jobs.canaries.trials import Outcome, Trial, TrialKind, tells_nothing
from jobs.engines.api import EngineSession
from jobs.engines.errors import EngineRefusedError, EngineStartError
from jobs.engines.naming import named_batch, named_schema
from jobs.engines.pool import EngineHandle, EnginePool
from jobs.engines.stopwatch import Stopwatch
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName
from sql.statement import PreparedStatement, Repeatable, StatementKind
from storage.base.clock import Clock
from storage.base.errors import Failure, GoneError, NotFoundError, ServiceError
from storage.meta.database import Database
from storage.results.digests import Digest, Digester, digest_of
from storage.results.manifest import Manifest
from storage.results.results import Results
from storage.results.types import normal_schema, normalise

log = logging.getLogger(__name__)

TIMED_OUT = "canary_timeout"  #: the code of a query that did not end in its time
_LOOK = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSettings:
    """The bounds of what is done beside the work of a replica."""

    timeout: timedelta = timedelta(seconds=60)  #: of one query, once it has an engine
    start_timeout: timedelta = timedelta(minutes=3)  #: of the wait for that
    max_bytes: int = 64 << 20  #: of a result that is compared, as it is stored
    waiting: int = 8  #: queries that wait for their turn
    grace: timedelta = timedelta(seconds=3)  #: then an engine that does not let go dies
    #: between two starts of an engine that did not start
    pause: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A query that its queue's own image has answered in full."""

    job: Job
    plan: PreparedStatement
    manifest: Manifest
    canary: Canary
    millis: int  #: of the engine
    executor_cu_ms: int  #: what its executors used meanwhile


class Shadows:
    """The comparisons of one replica. Thread-safe; ``tick`` is for one thread."""

    def __init__(
        self,
        *,
        database: Database,
        canaries: Canaries,
        pool: EnginePool,
        results: Results,
        clock: Clock,
        engine_cu: Mapping[EngineName, int],
        settings: ShadowSettings | None = None,
    ) -> None:
        """``engine_cu`` are the compute units of one engine."""
        self._database = database
        self._canaries = canaries
        self._pool = pool
        self._results = results
        self._clock = clock
        self._engine_cu = engine_cu
        self._settings = settings or ShadowSettings()
        self._waiting: deque[Answered] = deque()
        self._not_before: dict[str, float] = {}  # by canary, whose engine did not start
        self._lock = threading.Lock()  # guards both
        self._stop = threading.Event()
        self.wake = threading.Event()  #: set when there is something to do

    def offer(self, answered: Answered) -> None:
        """Compare it soon, or drop it. Returns at once and never raises."""
        with self._lock:
            paused = self._not_before.get(answered.canary.id, 0.0) > self._clock.monotonic()
            full = len(self._waiting) >= self._settings.waiting or self._stop.is_set()
            if not (paused or full or self._is_out_of_bounds(answered)):
                self._waiting.append(answered)
                self.wake.set()
                return
        self._canaries.drop(answered.canary)

    def tick(self) -> int:
        """Compare one that waits; 0 when none does."""
        with self._lock:
            if not self._waiting:
                return 0
            answered = self._waiting.popleft()
        if not self._canaries.is_over(answered.canary):
            self._compare(answered)
        return 1

    def close(self) -> None:
        """Stop what runs, and forget what waits."""
        self._stop.set()
        with self._lock:
            self._waiting.clear()
        self.wake.set()

    def _is_out_of_bounds(self, answered: Answered) -> bool:
        """What is large, or took so long that half the time is not left for the canary's own."""
        long = answered.millis * 2 > self._settings.timeout / timedelta(milliseconds=1)
        return long or answered.manifest.bytes > self._settings.max_bytes

    def _compare(self, answered: Answered) -> None:
        try:
            stable = digest_of(answered.manifest.schema, self._results.batches(answered.manifest))
        except (GoneError, NotFoundError):  # deleted, or expired meanwhile
            self._canaries.drop(answered.canary)
            return
        run = _Run(
            answered=answered, pool=self._pool, clock=self._clock, watch=Stopwatch(self._clock)
        )
        thread = threading.Thread(target=run.run, name=f"shadow-{answered.job.id}", daemon=True)
        thread.start()
        self._see_to_its_end(run)
        thread.join()
        if self._stop.is_set():
            return
        if isinstance(run.error, EngineStartError | EngineRefusedError):
            with self._lock:
                pause = self._settings.pause.total_seconds()
                self._not_before[answered.canary.id] = self._clock.monotonic() + pause
        if run.broke or tells_nothing(run.error):
            self._canaries.drop(answered.canary)
            return
        trial = self._judged(answered, stable, run)
        with self._database.transaction() as tx:
            self._canaries.keep(tx, trial)
        if trial.outcome is not Outcome.EQUAL:
            log.info(
                "canary compared",
                extra={"job": answered.job.id, "canary": trial.canary_id,
                       "outcome": trial.outcome.value, "code": trial.code},
            )  # fmt: skip

    def _see_to_its_end(self, run: _Run) -> None:
        """Let it run for as long as it may; then stop it, and kill an engine that is deaf."""
        began, settings = self._clock.monotonic(), self._settings
        while not self._stop.is_set():
            if self._clock.wait(run.done, _LOOK):
                return
            now, since = self._clock.monotonic(), run.has_engine_since
            if now - began > settings.start_timeout.total_seconds() and since is None:
                break
            if since is not None and now - since > settings.timeout.total_seconds():
                break
        run.give_up()
        if not self._clock.wait(run.done, self._settings.grace):
            run.condemn()

    def _judged(self, answered: Answered, stable: Digest, run: _Run) -> Trial:
        cu = self._engine_cu.get(run.engine, 1)
        trial = Trial(
            canary_id=answered.canary.id,
            job_id=answered.job.id,
            kind=TrialKind.SHADOW,
            at=self._clock.now(),
            outcome=Outcome.ERROR,
            stable_ms=answered.millis,
            stable_cu_ms=answered.millis * cu + answered.executor_cu_ms,
            canary_cu_ms=run.watch.millis * cu + run.executor_cu_ms,
            stable_rows=stable.rows,
            stable_digest=stable.exact,
        )
        if run.digest is None:
            failure = run.failure
            return replace(trial, code=failure.code, message=failure.message)
        return replace(
            trial,
            outcome=outcome_of(stable, run.digest, answered.plan.repeatable),
            canary_ms=run.watch.millis,
            canary_rows=run.digest.rows,
            canary_digest=run.digest.exact,
        )


def may_be_compared(plan: PreparedStatement, manifest: Manifest) -> bool:
    """Whether another answer to the same question tells anything: a query, answered in full."""
    repeats = plan.repeatable is not Repeatable.NO
    return plan.kind is StatementKind.QUERY and repeats and not manifest.truncated


def outcome_of(stable: Digest, canary: Digest, repeatable: Repeatable) -> Outcome:
    """How the two answers to one query differ."""
    if stable.columns == canary.columns and stable.rows == canary.rows:
        if stable.exact == canary.exact:
            return Outcome.EQUAL
        if stable.rounded == canary.rounded:
            return Outcome.FLOATS
        if repeatable is not Repeatable.YES:
            return Outcome.UNSURE
    return Outcome.DIFFERENT


@dataclass(slots=True, kw_only=True)
class _Run:
    """The query on the canary, on a thread of its own; the fields are read once it is ``done``."""

    answered: Answered
    pool: EnginePool
    clock: Clock
    watch: Stopwatch
    has_engine_since: float | None = None  #: of the clock's monotonic
    digest: Digest | None = None
    error: ServiceError | None = None
    late: bool = False
    broke: bool = False  #: by a mistake of ours, which is in the log
    executor_cu_ms: int = 0
    done: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _handle: EngineHandle | None = None
    _interrupt: Callable[[], object] | None = None

    @property
    def engine(self) -> EngineName:
        """Which kind it runs on."""
        engine = self.answered.job.statement.engine
        assert engine is not None, "a query without an engine was answered by none"
        return engine

    @property
    def failure(self) -> Failure:
        """Why there is no answer."""
        if self.late or self.error is None:
            return Failure(
                code=TIMED_OUT, message="the canary did not answer in the time that it had"
            )
        return Failure.of(self.error)

    def run(self) -> None:
        """Never raises."""
        try:
            self._work()
        except ServiceError as error:
            self.error = error
        except Exception:  # the outermost of this thread
            log.exception("shadow broke", extra={"job": self.answered.job.id})
            self.broke = True
        finally:
            self.done.set()

    def give_up(self) -> None:
        """Its time is over."""
        self.late = True
        self._stop.set()
        if self._interrupt is not None:
            self._interrupt()

    def condemn(self) -> None:
        """Kill the engine, which does not let go."""
        if self._handle is not None:
            self.pool.condemn(self._handle, "it works on at a query that was stopped")

    def _work(self) -> None:
        job = self.answered.job
        handle = self._handle = self.pool.acquire(
            project_id=job.project_id,
            queue=job.queue,
            engine=self.engine,
            image=self.answered.canary.image,
            stop=self._stop,
        )
        self.has_engine_since = self.clock.monotonic()
        before = self.pool.executors_used(handle)
        try:
            session = handle.client.open_session()
            try:
                for binding in self.answered.plan.bindings:
                    session.bind(binding)
                self.digest = self._answer(session)
            finally:
                self._interrupt = None
                session.release()
        finally:
            self.executor_cu_ms = max(self.pool.executors_used(handle) - before, 0)
            self.pool.release(handle)

    def _answer(self, session: EngineSession) -> Digest | None:
        """None when it was stopped. More rows than the other answer has are not all read."""
        plan, most = self.answered.plan, self.answered.manifest.rows
        assert plan.engine_sql is not None, "a query is for an engine"
        operation_id = str(uuid.uuid4())
        self._interrupt = partial(session.interrupt, operation_id)
        if self._stop.is_set():
            return None
        with self.watch.running():
            stream = session.execute(plan.engine_sql, operation_id=operation_id)
            schema = normal_schema(named_schema(stream.schema, plan.column_names))
        digester = Digester(schema)
        for batch in self.watch.over(stream):
            digester.add(normalise(named_batch(batch, plan.column_names), schema))
            if self._stop.is_set():
                return None
            if digester.rows > most:
                self._interrupt()
                break
        return digester.digest()
