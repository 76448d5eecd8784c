"""From a request to a kept job: understand, price, let into the queue, start if there is room."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.accepting import Accepting, KeyTakenError, Offer, check_terms, least
from jobs.crash import crash_point
from jobs.errors import (
    EngineUnknownError,
    RequestInvalidError,
    WriteForbiddenError,
)
from jobs.execution.parts import Parts
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName, JobKind, RetryPolicy, StatementSpec
from jobs.preparers import Preparers, Question
from jobs.queues.definitions import DEFAULT_QUEUE, QueueDef
from jobs.queues.known import KnownQueues
from jobs.store.jobs import Summary
from jobs.usage import SCAN_BYTES, Quote
from jobs.views import JobView, PlanView, StatementRequest
from sql.explain import explain_lines
from sql.guard.limits import GuardLimits
from sql.statement import PreparedStatement, StatementKind
from storage.base.errors import (
    BusyError,
    ServiceError,
    TooLargeError,
    UnavailableError,
)

_SECOND = timedelta(seconds=1)
_UNKNOWN_TYPE = "unknown"  #: of a statement that could not be read


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
    max_attempts: int
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
    accepting: Accepting
    queues: KnownQueues

    def submit(self, request: StatementRequest) -> JobView:
        """See ``JobService.submit``."""
        parts = self.parts
        at = parts.clock.now()
        ask = self.ask(request)
        job = self.accepting.new_job(
            JobKind.STATEMENT, _spec(ask), terms=request.terms, queue=ask.queue, at=at
        )
        understood: Understood | None = None
        try:
            understood = self.understand(ask, at)
            job = _priced(job, ask, understood)
            crash_point("before_submit")
            return self.accepting.keep(_offer(ask, job, understood))
        except (BusyError, UnavailableError, TooLargeError, KeyTakenError):
            raise
        except ServiceError as error:
            self.accepting.keep_refused(_offer(ask, job, understood), error)
            error.details["job_id"] = job.id
            raise

    def submit_all(self, requests: Sequence[StatementRequest]) -> Sequence[JobView | None]:
        """See ``JobService.submit_all``."""
        offers: dict[int, Offer] = {}
        for index, request in enumerate(requests):
            with contextlib.suppress(ServiceError):  # told when it is submitted alone
                offers[index] = self._offered(request)
        views: list[JobView | None] = [None] * len(requests)
        for index, view in zip(offers, self.accepting.keep_all([*offers.values()]), strict=True):
            views[index] = view
        return views

    def _offered(self, request: StatementRequest) -> Offer:
        at = self.parts.clock.now()
        ask = self.ask(request)
        job = self.accepting.new_job(
            JobKind.STATEMENT, _spec(ask), terms=request.terms, queue=ask.queue, at=at
        )
        understood = self.understand(ask, at)
        return _offer(ask, _priced(job, ask, understood), understood)

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
            project_id=request.terms.project_id,
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
        settings, terms = self.parts.settings, request.terms
        check_terms(terms)
        queue = self.queues.get(terms.project_id, terms.queue or DEFAULT_QUEUE)
        most = min(queue.longest, settings.max_timeout)
        result_ttl = request.result_ttl or settings.result_ttl
        max_rows = settings.max_rows if request.max_rows is None else request.max_rows
        if max_rows < 0:
            raise _invalid("max_rows", "max_rows is below zero")
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
            max_cost=least(terms.max_cost, queue.max_cost),
            timeout=min(terms.timeout or queue.timeout, most),
            max_attempts=settings.max_attempts,
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
                project_id=request.terms.project_id,
                text=request.sql,
                database=ask.database,
                parameters=request.parameters,
                limits=ask.limits,
            )
        )
        if prepared.kind.writes and not request.terms.may_write:
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


def _spec(ask: Ask) -> StatementSpec:
    request = ask.request
    retry = request.terms.retry
    return StatementSpec(
        sql=request.sql,
        database=ask.database,
        engine=None,
        engine_reason=ask.engine_reason,
        statement_type=_UNKNOWN_TYPE,
        labels=dict(request.terms.labels),
        max_cost=ask.max_cost,
        max_bytes=ask.limits.max_bytes,
        timeout=ask.timeout,
        result_ttl=ask.result_ttl,
        max_rows=ask.max_rows,
        retry=retry or RetryPolicy(attempts=ask.max_attempts),
        lease=request.terms.lease,
        on_budget=request.on_budget,
    )


def _offer(ask: Ask, job: Job, understood: Understood | None) -> Offer:
    terms = ask.request.terms
    offer = Offer(job=job, key=terms.idempotency_key, body_hash=terms.body_hash)
    if understood is None:
        return offer
    return replace(
        offer,
        plan=understood.prepared,
        summary=understood.summary,
        timings={"prepare": understood.prepare_ms},
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
        levels=dict(queue.guard_levels), max_bytes=least(request.max_bytes, queue.max_bytes)
    )


def _invalid(name: str, message: str) -> RequestInvalidError:
    return RequestInvalidError(message, field=name)
