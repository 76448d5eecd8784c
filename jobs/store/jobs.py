"""Jobs in rows. A step is written by compare-and-set, its event in the same transaction."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, case, insert, select, update

from jobs.lifecycle.events import (
    KINDS,
    REFUSED,
    SUBMITTED,
    Adopted,
    CancelRequested,
    Claimed,
    EngineReady,
    Event,
    Failed,
    HandedOver,
)
from jobs.lifecycle.job import CancelReason, Job
from jobs.lifecycle.machine import decide
from jobs.lifecycle.spec import JobKind, JobSpec, StatementSpec
from jobs.lifecycle.states import JobState
from jobs.store.codec import from_json, pack, to_json, unpack
from jobs.store.rows import job_events, job_labels, job_plans, jobs
from jobs.usage import Quote
from jobs.views import JobEvent
from sql.statement import CostEstimate, Finding, PreparedStatement
from storage.base.errors import ConflictError, Failure
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx
from storage.meta.prepared import Prepared


class JobChangedError(ConflictError):
    """Somebody else was first to change the job."""

    code = "statement_changed"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of a job by one event, not yet written."""

    job: Job
    kind: str
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def event(self) -> JobEvent:
        """As it stands in the history."""
        return JobEvent(
            version=self.job.version,
            state=self.job.state,
            kind=self.kind,
            at=self.at,
            detail=self.detail,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is told of a plan without reading it."""

    cost: CostEstimate | None = None
    findings: tuple[Finding, ...] = ()


def first_step(job: Job) -> Step:
    """The birth of ``job``: submitted, or refused if it is at its end already."""
    kind = REFUSED if job.state.terminal else SUBMITTED
    detail: dict[str, Any] = {"by": job.user_id}
    if job.failure:
        detail["code"] = job.failure.code
    if job.waits_for_money:
        detail["waits_for"] = "budget"
    return Step(job=job, kind=kind, at=job.created_at, detail=detail)


def next_step(job: Job, event: Event) -> Step | None:
    """``decide`` with its entry in the history; None where nothing changes."""
    after = decide(job, event)
    if after == job:
        return None
    return Step(job=after, kind=KINDS[type(event)], at=event.at, detail=_detail(after, event))


def add(
    tx: Tx,
    steps: Sequence[Step],
    *,
    plan: PreparedStatement | None,
    summary: Summary,
    timings: Mapping[str, float] | None = None,
) -> None:
    """Insert a job with its first steps."""
    job = steps[-1].job
    _INSERT_JOB.run(tx, row_values(job, summary) | {"timings": timings})
    _INSERT_EVENT.run_each(tx, [_event_values(step) for step in steps])
    if plan is not None:
        _INSERT_PLAN.run(tx, {"job_id": job.id, "plan": _packed.of(plan)})
    if job.spec.labels:
        tx.execute(
            insert(job_labels),
            [
                {"job_id": job.id, "project_id": job.project_id, "name": name, "value": value}
                for name, value in job.spec.labels.items()
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What is known of the work at a step, beside the state; None leaves what is there."""

    timings: Mapping[str, float] | None = None
    usage: Mapping[str, int] | None = None
    rows: int = 0
    bytes: int = 0


def write(tx: Tx, steps: Sequence[Step], *, seen: int, measures: Measures | None = None) -> None:
    """Keep ``steps``, which follow each other from version ``seen`` on.

    Raises ``JobChangedError`` if that is not the stored version; nothing is written then.
    """
    job = steps[-1].job
    values = _changing_values(job) | {"job": job.id, "seen": seen}
    if measures is None:
        written = _UPDATE_JOB.first(tx, values)
    else:
        values |= {
            "timings": measures.timings,
            "usage": measures.usage,
            "progress_rows": measures.rows,
            "progress_bytes": measures.bytes,
        }
        written = _UPDATE_MEASURED.first(tx, values)
    if written is None:
        raise JobChangedError(f"job {job.id} is past version {seen}", job_id=job.id)
    _INSERT_EVENT.run_each(tx, [_event_values(step) for step in steps])


def write_progress(tx: Tx, job_id: JobId, *, seen: int, rows: int, bytes: int) -> None:
    """Keep how much of a result there is, while the job is at version ``seen``. No step."""
    tx.execute(
        _UPDATE_PROGRESS, {"job": job_id, "seen": seen, "new_rows": rows, "new_bytes": bytes}
    )


def renew_client(tx: Tx, job_id: JobId, until: datetime) -> bool:
    """Extend a client's lease on a job that has one and is not at its end."""
    renewed = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.client_until.is_not(None), jobs.c.ended_at.is_(None))
        .values(client_until=until)
        .returning(jobs.c.id)
    )
    return tx.execute(renewed).first() is not None


def keep_facts(tx: Tx, job_id: JobId, facts: Mapping[str, Any]) -> None:
    """Keep what a job that is no statement came to. No step of its own."""
    tx.execute(_UPDATE_FACTS, {"job": job_id, "new_facts": dict(facts)})


def requote(tx: Tx, job_id: JobId, quote: Quote) -> None:
    """Keep another price of a job that was not paid for so far. No step of its own."""
    tx.execute(_UPDATE_QUOTE, {"job": job_id, "new_quote": to_json(quote)})


def renew(tx: Tx, owner: str, job_ids: Sequence[JobId], until: datetime) -> None:
    """Extend the leases that ``owner`` holds still. No step: a heartbeat is not history."""
    tx.execute(
        update(jobs).where(jobs.c.id.in_(job_ids), jobs.c.owner == owner).values(lease_until=until)
    )


def apply(tx: Tx, job: Job, event: Event) -> Job:
    """Decide, write and log one step in the caller's transaction.

    Raises ``IllegalTransitionError``, or ``JobChangedError`` if ``job`` is not what is stored.
    """
    step = next_step(job, event)
    if step is None:
        return job
    write(tx, (step,), seen=job.version)
    return step.job


def apply_all(tx: Tx, steps: Sequence[tuple[Job, Event]]) -> tuple[Job, ...]:
    """As ``apply`` for one step of each of several jobs, by two statements.

    Raises ``JobChangedError`` if one of them is not what is stored.
    """
    made = [next_step(job, event) for job, event in steps]
    assert None not in made, "each of the events changes its job"
    taken = [step for step in made if step is not None]
    values = [_changing_values(step.job) for step in taken]
    seen = [
        {**value, "job": job.id, "seen": job.version}
        for value, (job, _) in zip(values, steps, strict=True)
    ]
    if _UPDATE_JOBS.run_many(tx, seen) != len(seen):
        raise JobChangedError("one of several jobs was changed meanwhile")
    _INSERT_EVENT.run_many(tx, [_event_values(step) for step in taken])
    return tuple(step.job for step in taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A job that waits, and what was measured of it in attempts before."""

    job: Job
    timings: Mapping[str, float]
    usage: Mapping[str, int] | None


def load_queued(tx: Tx, job_ids: Sequence[JobId]) -> tuple[Queued, ...]:
    """Those of them that are queued, in that order, for the transaction alone.

    One that another transaction is about to change, as a cancel does, is left out.
    """
    wanted = select(jobs).where(jobs.c.id.in_(job_ids), jobs.c.state == JobState.QUEUED.value)
    rows = {row.id: row for row in tx.execute(wanted.with_for_update(skip_locked=True))}
    return tuple(
        Queued(job=job_of(row), timings=row.timings or {}, usage=row.usage)
        for row in (rows[job_id] for job_id in job_ids if job_id in rows)
    )


def load_plans(tx: Tx, job_ids: Sequence[JobId]) -> Mapping[JobId, PreparedStatement]:
    """What these jobs run, of those that have a plan."""
    wanted = select(job_plans).where(job_plans.c.job_id.in_(job_ids))
    return {JobId(row.job_id): unpack(PreparedStatement, row.plan) for row in tx.execute(wanted)}


def find(tx: Tx, job_id: JobId, project_id: ProjectId | None = None) -> Row[Any] | None:
    """The row of a job; with ``project_id``, only if it is of that project."""
    row = tx.execute(_SELECT_JOB, {"job": job_id}).first()
    return row if row is None or project_id in (None, row.project_id) else None


def load(tx: Tx, job_id: JobId) -> Job | None:
    """The job as it is stored."""
    row = find(tx, job_id)
    return None if row is None else job_of(row)


def load_plan(tx: Tx, job_id: JobId) -> PreparedStatement | None:
    """What the job runs; None for a refused one."""
    data = tx.execute(select(job_plans.c.plan).where(job_plans.c.job_id == job_id)).scalar()
    return None if data is None else unpack(PreparedStatement, data)


def history(tx: Tx, job_id: JobId, *, after: int = 0) -> tuple[JobEvent, ...]:
    """The steps above version ``after``, in order."""
    rows = tx.execute(_SELECT_EVENTS, {"job": job_id, "after": after})
    return tuple(
        JobEvent(
            version=row.version,
            state=JobState(row.state),
            kind=row.kind,
            at=row.at,
            detail=row.detail,
        )
        for row in rows
    )


def job_of(row: Row[Any]) -> Job:
    """The job of a whole row."""
    return Job(
        id=row.id,
        kind=JobKind(row.kind),
        project_id=row.project_id,
        user_id=row.user_id,
        queue=row.queue,
        spec=read_spec(row.spec),
        state=JobState(row.state),
        version=row.version,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        deadline=row.deadline,
        owner=row.owner,
        lease_until=row.lease_until,
        not_before=row.not_before,
        run_id=row.run_id,
        engine_version=row.engine_version,
        image=row.image,
        canary_id=row.canary_id,
        cancel_reason=None if row.cancel_reason is None else CancelReason(row.cancel_reason),
        quote=None if row.quote is None else from_json(Quote, row.quote),
        failure=None if row.failure is None else from_json(Failure, row.failure),
        priority=row.priority,
        parent_id=row.parent_id,
        node=row.node,
        cpu_millis=row.cpu_millis,
        memory_bytes=row.memory_bytes,
        client_until=row.client_until,
        cluster=row.cluster,
    )


def read_spec(value: Any) -> JobSpec:
    """A spec of any kind, as it stands in a row."""
    kind: Any = JobSpec
    spec: JobSpec = from_json(kind, value)
    return spec


def summary_of(row: Row[Any]) -> Summary:
    """Cost and findings of a whole row."""
    return from_json(Summary, row.summary)


_FIXED = (
    "id", "project_id", "user_id", "queue", "created_at", "deadline", "priority", "parent_id",
    "node", "cpu_millis", "client_until", "turn",
)  # fmt: skip
_CHANGING = (
    "state", "version", "attempt", "max_attempts", "started_at", "ended_at", "owner",
    "lease_until", "not_before", "run_id", "engine_version", "cancel_reason", "failure",
    "memory_bytes", "cluster", "image", "canary_id",
)  # fmt: skip
_MEASURED = ("timings", "usage", "progress_rows", "progress_bytes")


def _changing_values(job: Job) -> dict[str, Any]:
    values = {name: getattr(job, name) for name in _CHANGING}
    values["state"] = job.state.value
    values["cancel_reason"] = None if job.cancel_reason is None else job.cancel_reason.value
    values["failure"] = None if job.failure is None else _failure_json(job.failure)
    return values


def _failure_json(failure: Failure) -> Any:
    """Details are whatever an error carried: what has no form in a row is told as text."""
    details = {name: _plain(value) for name, value in failure.details.items()}
    return to_json(replace(failure, details=details))


def _plain(value: object) -> Any:
    try:
        return to_json(value)
    except TypeError:
        return str(value)


class _Packed:
    """The packed form of the last plans: a text that comes often is prepared, and packed, once.

    By identity, as whoever prepares gives out the same frozen value again. Thread-safe.
    """

    def __init__(self, most: int = 256, heaviest: int = 64 << 10) -> None:
        self._most = most
        self._heaviest = heaviest  # bytes: what is larger is packed each time
        self._kept: OrderedDict[int, tuple[PreparedStatement, bytes]] = OrderedDict()

    def of(self, plan: PreparedStatement) -> bytes:
        """``pack(plan)``."""
        known = self._kept.get(id(plan))
        if known is not None and known[0] is plan:
            return known[1]
        data = pack(plan)
        if len(data) <= self._heaviest:
            self._kept[id(plan)] = (plan, data)
            while len(self._kept) > self._most:
                with suppress(KeyError):  # another thread was first
                    self._kept.popitem(last=False)
        return data


_packed = _Packed()


def row_values(job: Job, summary: Summary) -> dict[str, Any]:
    """The columns of a job that was not measured yet."""
    values = {name: getattr(job, name) for name in _FIXED}
    return (
        values
        | _changing_values(job)
        | {
            "kind": job.kind.value,
            "engine": _engine_of(job),
            "spec": to_json(job.spec),
            "summary": to_json(summary),
            "quote": None if job.quote is None else to_json(job.quote),
            "progress_rows": 0,
            "progress_bytes": 0,
        }
    )


def _engine_of(job: Job) -> str | None:
    """The engine that a statement waits for, which the queue's limits count."""
    spec = job.spec
    engine = spec.engine if isinstance(spec, StatementSpec) else None
    return None if engine is None else engine.value


def _event_values(step: Step) -> dict[str, Any]:
    return {
        "job_id": step.job.id,
        "version": step.job.version,
        "state": step.job.state.value,
        "kind": step.kind,
        "at": step.at,
        "detail": dict(step.detail),
    }


def _detail(after: Job, event: Event) -> dict[str, Any]:
    if isinstance(event, Claimed | Adopted):
        where = {} if after.cluster is None else {"cluster": after.cluster}
        return {"attempt": after.attempt, "owner": event.owner, **where}
    if isinstance(event, HandedOver):
        return {} if event.unanswered is None else {"unanswered": event.unanswered}
    if isinstance(event, EngineReady):
        told = {"run_id": event.run_id, "image": event.image, "canary": event.canary_id}
        return {name: value for name, value in told.items() if value is not None}
    if isinstance(event, Failed):
        failure = event.failure
        kept = {"code": failure.code, "message": failure.message, "fault": event.fault.value}
        grows = event.memory_bytes is not None and not after.state.terminal
        return kept | ({"next_memory_bytes": event.memory_bytes} if grows else {})
    if isinstance(event, CancelRequested):
        by: dict[str, Any] = {} if event.by is None else {"by": event.by}
        return by | ({"client_gone": True} if event.client_gone else {})
    return {}


def _where_seen(names: Sequence[str]) -> Any:
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    # A lease is renewed in the row only; the job in memory has the one of its claim.
    lease = bindparam("lease_until", type_=jobs.c.lease_until.type)
    renewed = and_(lease.is_not(None), jobs.c.lease_until > lease)
    values["lease_until"] = case((renewed, jobs.c.lease_until), else_=lease)
    return (
        update(jobs)
        .where(jobs.c.id == bindparam("job"), jobs.c.version == bindparam("seen"))
        .values(values)
    )


# Built once: making a statement costs more than running it.
_INSERT_JOB = Prepared(insert(jobs))
_INSERT_EVENT = Prepared(insert(job_events))
_INSERT_PLAN = Prepared(insert(job_plans))
_UPDATE_JOBS = Prepared(_where_seen(_CHANGING))
_UPDATE_JOB = Prepared(_where_seen(_CHANGING).returning(jobs.c.id))
_UPDATE_MEASURED = Prepared(_where_seen((*_CHANGING, *_MEASURED)).returning(jobs.c.id))
_UPDATE_PROGRESS = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.version == bindparam("seen"))
    .values(progress_rows=bindparam("new_rows"), progress_bytes=bindparam("new_bytes"))
)
_UPDATE_FACTS = (
    update(jobs).where(jobs.c.id == bindparam("job")).values(facts=bindparam("new_facts"))
)
_UPDATE_QUOTE = (
    update(jobs).where(jobs.c.id == bindparam("job")).values(quote=bindparam("new_quote"))
)
_SELECT_JOB = select(jobs).where(jobs.c.id == bindparam("job"))
_SELECT_EVENTS = (
    select(job_events)
    .where(job_events.c.job_id == bindparam("job"), job_events.c.version > bindparam("after"))
    .order_by(job_events.c.version)
)
