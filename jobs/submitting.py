"""From a request to a kept job: understand, price, let into the queue, start if there is room."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.crash import crash_point
from jobs.errors import (
    EngineUnknownError,
    RequestInvalidError,
    WriteForbiddenError,
)
from jobs.execution.execution import Execution
from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName, JobKind, StatementSpec
from jobs.lifecycle.states import JobState
from jobs.preparers import Preparers, Question
from jobs.queues.admission import Place, starts_now
from jobs.queues.definitions import DEFAULT_QUEUE, QueueDef
from jobs.queues.known import KnownQueues
from jobs.queues.policy import Waiting
from jobs.store import idempotency
from jobs.store.idempotency import KeyUse
from jobs.store.jobs import Step, Summary, add, first_step, next_step
from jobs.usage import SCAN_BYTES, Quote
from jobs.views import JobView, PlanView, StatementRequest
from sql.explain import explain_lines
from sql.guard.api import GuardLimits
from sql.statement import PreparedStatement, StatementKind
from storage.base.errors import (
    BusyError,
    ConflictError,
    Failure,
    ServiceError,
    TooLargeError,
    UnavailableError,
)
from storage.base.ids import JobId, new_id
from storage.meta.database import Tx

_SECOND = timedelta(seconds=1)
_MOST_LABELS = 32
_UNKNOWN_TYPE = "unknown"  #: of a statement that could not be read


class KeyTakenError(ConflictError):
    """Another request with the same idempotency key was first, just now."""

    code = "idempotency_key_taken"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request whose values beside the SQL are known and within their bounds."""

    request: StatementRequest
    queue: QueueDef
    database: str
    engine: EngineName
    engine_reason: str
    limits: GuardLimits
    max_cost: int | None
    timeout: timedelta
    result_ttl: timedelta
    max_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A prepared statement and its price."""

    prepared: PreparedStatement
    quote: Quote
    prepare_ms: float

    @property
    def summary(self) -> Summary:
        """What is told of it."""
        return Summary(cost=self.prepared.cost, findings=self.prepared.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitting:
    """The way in. Safe to call from any thread."""

    parts: Parts
    preparers: Preparers
    workers: Workers
    queues: KnownQueues

    def submit(self, request: StatementRequest) -> JobView:
        """See ``JobService.submit``."""
        parts = self.parts
        at = parts.clock.now()
        job_id = JobId(new_id("stm", at))
        ask = self.ask(request)
        job = _job(job_id, ask, at, max_attempts=parts.settings.max_attempts)
        understood: Understood | None = None
        try:
            understood = self.understand(ask, at)
            job = _priced(job, ask, understood)
            crash_point("before_submit")
            return self._keep(ask, job, understood)
        except (BusyError, UnavailableError, TooLargeError, KeyTakenError):
            raise
        except ServiceError as error:
            self._keep_refused(ask, job, understood, error)
            error.details["job_id"] = job_id
            raise

    def plan(self, request: StatementRequest, *, priced: bool, explained: bool = False) -> PlanView:
        """What the statement means; nothing is kept. ``priced`` false: caps do not matter."""
        ask = self.ask(request)
        if not priced:
            ask = replace(ask, limits=replace(ask.limits, max_bytes=None))
        understood = self.understand(ask, self.parts.clock.now())
        prepared = understood.prepared
        engine, reason = _engine_of(ask, prepared)
        return PlanView(
            statement_type=prepared.kind,
            project_id=request.project_id,
            queue=ask.queue.name,
            database=ask.database,
            engine=engine,
            engine_reason=reason,
            reads=tuple(str(name) for name in prepared.reads),
            columns=prepared.column_names,
            cost=prepared.cost,
            findings=prepared.findings,
            quote=understood.quote if priced else None,
            prepare_ms=understood.prepare_ms,
            text=explain_lines(prepared) if explained else (),
        )

    def ask(self, request: StatementRequest) -> Ask:
        """The request with its defaults. Raises for what is wrong beside the SQL."""
        settings = self.parts.settings
        queue = self.queues.get(request.project_id, request.queue or DEFAULT_QUEUE)
        if len(request.labels) > _MOST_LABELS:
            raise _invalid("labels", f"there are more than {_MOST_LABELS} labels")
        if any(len(name) > 64 or len(value) > 256 for name, value in request.labels.items()):
            raise _invalid("labels", "a label has at most 64 characters, its value at most 256")
        most = min(queue.timeout, settings.max_timeout)
        result_ttl = request.result_ttl or settings.result_ttl
        max_rows = settings.max_rows if request.max_rows is None else request.max_rows
        if max_rows < 0:
            raise _invalid("max_rows", "max_rows is below zero")
        if request.timeout is not None and request.timeout <= timedelta(0):
            raise _invalid("timeout", "the timeout is not above zero")
        if not _SECOND <= result_ttl <= settings.max_result_ttl:
            days = settings.max_result_ttl.days
            raise _invalid("result_ttl", f"a result is kept from 1s to {days}d")
        return Ask(
            request=request,
            queue=queue,
            database=(request.database or settings.default_database).lower(),
            engine=_engine(request.engine) or queue.default_engine,
            engine_reason="request" if request.engine else "queue default",
            limits=_limits(request, queue),
            max_cost=_least(request.max_cost, queue.max_cost),
            timeout=min(request.timeout or most, most),
            result_ttl=result_ttl,
            max_rows=min(max_rows, settings.max_rows),
        )

    def understand(self, ask: Ask, at: datetime) -> Understood:
        """Prepare and quote. Raises what ``sql.prepare`` raises, and ``WriteForbiddenError``."""
        clock = self.parts.clock
        began = clock.monotonic()
        request = ask.request
        prepared = self.preparers.prepare(
            Question(
                project_id=request.project_id,
                text=request.sql,
                database=ask.database,
                parameters=request.parameters,
                limits=ask.limits,
            )
        )
        if prepared.kind.writes and not request.may_write:
            raise WriteForbiddenError(
                f"{prepared.kind.value} needs the right to write", hint="ask a project's admin"
            )
        engine, _ = _engine_of(ask, prepared)
        if engine is not None:
            self.parts.pool.check(engine, prepared.bindings)
        bills = prepared.cost is not None and prepared.kind is not StatementKind.EXPLAIN
        scanned = prepared.cost.bytes_processed if bills and prepared.cost else 0
        quote = self.parts.ending.allowance.quote(
            price_class=ask.queue.price_class, quantities={SCAN_BYTES: scanned}, at=at
        )
        ms = round((clock.monotonic() - began) * 1000, 3)
        return Understood(prepared=prepared, quote=quote, prepare_ms=ms)

    def _keep(self, ask: Ask, job: Job, understood: Understood) -> JobView:
        parts = self.parts
        seat = self.workers.take_seats()
        steps = [first_step(job)]
        timings = {"prepare": understood.prepare_ms}
        try:
            with parts.database.transaction() as tx:
                # The turn of the queue is the first lock that is taken, so none waits for us here.
                starts = starts_now(
                    parts.database,
                    tx,
                    Place(project_id=job.project_id, queue=job.queue),
                    Waiting(id=job.id, engine=job.statement.engine),
                    room=bool(seat),
                    engine_cu=parts.settings.engine_cu,
                    now=job.created_at,
                )
                if starts:
                    now = parts.clock.now()
                    lease = now + parts.settings.lease
                    claim = Claimed(at=now, owner=parts.replica, lease_until=lease)
                    claimed = next_step(job, claim)
                    assert claimed is not None
                    steps.append(claimed)
                self._take_key(tx, ask, job)
                assert job.quote is not None
                parts.ending.allowance.reserve(
                    tx,
                    job_id=job.id,
                    project_id=job.project_id,
                    quote=job.quote,
                    cap=job.spec.max_cost,
                )
                add(
                    tx,
                    steps,
                    plan=understood.prepared,
                    summary=understood.summary,
                    timings=timings,
                )
                crash_point("in_submit_before_commit")
        except BaseException:
            self.workers.leave_seats(seat)
            raise
        crash_point("after_submit")
        if starts:
            timings["queue"] = round(
                max((steps[1].at - job.created_at).total_seconds() * 1000 - timings["prepare"], 0),
                3,
            )
            self.workers.start(
                Execution(
                    steps[1].job,
                    understood.prepared,
                    clock=parts.clock,
                    timings=timings,
                    story=steps,
                )
            )
        else:
            self.workers.leave_seats(seat)
        return JobView(
            job=steps[-1].job,
            history=tuple(step.event for step in steps),
            cost=understood.prepared.cost,
            findings=understood.prepared.findings,
            timings=timings,
        )

    def _keep_refused(
        self, ask: Ask, job: Job, understood: Understood | None, error: ServiceError
    ) -> None:
        """Keep the job as one that failed at once, so that it can be listed and looked at."""
        refused = replace(
            job,
            state=JobState.FAILED,
            ended_at=self.parts.clock.now(),
            failure=Failure.of(error),
            quote=None,
        )
        summary = Summary() if understood is None else understood.summary
        with self.parts.database.transaction() as tx:
            self._take_key(tx, ask, refused)
            add(tx, [_refusal(refused)], plan=None, summary=summary)

    def _take_key(self, tx: Tx, ask: Ask, job: Job) -> None:
        key = ask.request.idempotency_key
        if key is None:
            return
        use = KeyUse(job_id=job.id, body_hash=ask.request.body_hash or "")
        if not idempotency.take(tx, job.project_id, key, use=use, at=job.created_at):
            raise KeyTakenError("a request with this idempotency key was first", hint="ask again")


def _refusal(job: Job) -> Step:
    assert job.ended_at is not None
    return replace(first_step(job), at=job.ended_at)


def _job(job_id: JobId, ask: Ask, at: datetime, *, max_attempts: int) -> Job:
    request = ask.request
    return Job(
        id=job_id,
        kind=JobKind.STATEMENT,
        project_id=request.project_id,
        user_id=request.user_id,
        queue=ask.queue.name,
        spec=StatementSpec(
            sql=request.sql,
            database=ask.database,
            engine=None,
            engine_reason=ask.engine_reason,
            statement_type=_UNKNOWN_TYPE,
            labels=dict(request.labels),
            max_cost=ask.max_cost,
            max_bytes=ask.limits.max_bytes,
            timeout=ask.timeout,
            result_ttl=ask.result_ttl,
            max_rows=ask.max_rows,
        ),
        state=JobState.QUEUED,
        version=1,
        attempt=0,
        max_attempts=max_attempts,
        created_at=at,
        deadline=at + ask.timeout,
    )


def _priced(job: Job, ask: Ask, understood: Understood) -> Job:
    engine, reason = _engine_of(ask, understood.prepared)
    spec = replace(
        job.statement,
        engine=engine,
        engine_reason=reason,
        statement_type=understood.prepared.kind.value,
    )
    return replace(job, spec=spec, quote=understood.quote)


def _engine_of(ask: Ask, prepared: PreparedStatement) -> tuple[EngineName | None, str]:
    if prepared.kind.computes:
        return ask.engine, ask.engine_reason
    return None, "answered by the catalog"


def _engine(name: str | None) -> EngineName | None:
    if name is None:
        return None
    known = [each.value for each in EngineName]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise EngineUnknownError(f"there is no engine {name!r}", hint=hint, engine=name)
    return EngineName(name)


def _limits(request: StatementRequest, queue: QueueDef) -> GuardLimits:
    return GuardLimits(
        levels=dict(queue.guard_levels), max_bytes=_least(request.max_bytes, queue.max_bytes)
    )


def _least(first: int | None, second: int | None) -> int | None:
    given = [value for value in (first, second) if value is not None]
    return min(given) if given else None


def _invalid(name: str, message: str) -> RequestInvalidError:
    return RequestInvalidError(message, field=name)
