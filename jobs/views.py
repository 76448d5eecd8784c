"""What the service is asked and what it answers: frozen values, re-exported by ``jobs.service``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import ClientLease, EngineName, JobKind, OnBudget, RetryPolicy
from jobs.lifecycle.states import JobState
from jobs.usage import Quote
from sql.statement import CostEstimate, Finding, StatementKind
from storage.base.ids import JobId, ProjectId, RunId, UserId
from storage.results.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every kind of job may ask for. None means: the queue's or the service's default.

    ``body_hash`` goes with ``idempotency_key``: another body under the same key is a conflict.
    """

    project_id: ProjectId
    user_id: UserId
    may_write: bool
    queue: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    max_cost: int | None = None  #: nanos
    timeout: timedelta | None = None
    priority: int | None = None
    retry: RetryPolicy | None = None
    lease: ClientLease | None = None
    idempotency_key: str | None = None
    body_hash: str | None = None
    parent_id: JobId | None = None  #: the pipeline run that it belongs to
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRequest:
    """A statement to run, price or explain.

    ``parameters`` are the values of ``:name`` (a mapping) or ``?`` (a sequence).
    """

    terms: Terms
    sql: str
    database: str | None = None
    engine: str | None = None
    parameters: Mapping[str, Any] | Sequence[Any] = ()
    max_bytes: int | None = None
    result_ttl: timedelta | None = None
    max_rows: int | None = None
    on_budget: OnBudget = OnBudget.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One step of a job, as it was kept: ``state`` is the one after it, ``kind`` what happened."""

    version: int
    state: JobState
    kind: str
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOption:
    """What would start a job that waits now: another ``queue``, ``priority`` or ``size``.

    ``quote`` is its price then, where that is another.
    """

    change: str
    value: str
    detail: str
    quote: Quote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why a queued job does not run yet. ``position`` counts from 1 in the order of the starts.

    ``starts_at`` is a guess, by how long the jobs of its queue took lately.
    """

    reason: str
    position: int
    detail: str
    starts_at: datetime | None = None
    options: tuple[WaitOption, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt of a batch or a task, as its run is known. Quantities are None while unknown."""

    attempt: int
    run_id: RunId
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str | None = None
    cpu_ms: int | None = None
    peak_memory: int | None = None  #: bytes
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What keeps a pod of a living job from starting now; texts are those of ``REASONS``."""

    reason: str
    message: str
    hint: str
    blame: str
    again: str
    executors: bool  #: it is one of the run's executors, and the run goes on without


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Of the result so far; ``fraction`` is from 0 to 1, None where nobody knows."""

    rows: int = 0
    bytes: int = 0
    fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """Everything that can be told of one job at one moment.

    ``timings`` are milliseconds by step (prepare, queue, engine, bind, execute, publish, total);
    ``usage`` is what was metered, by meter, over all attempts. Listings leave ``history`` and
    ``manifest`` out.
    """

    job: Job
    history: tuple[JobEvent, ...] = ()
    cost: CostEstimate | None = None
    findings: tuple[Finding, ...] = ()
    wait: Wait | None = None
    obstacle: Obstacle | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    manifest: Manifest | None = None
    result_expires_at: datetime | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    attempts: tuple[AttemptView, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)  #: what other kinds came to: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """What a statement means and would cost; nothing is kept of it.

    ``engine`` is None for statements that need none. ``text`` is the explanation, line by line,
    and empty unless it was asked for. ``quote`` is None when only validated.
    """

    statement_type: StatementKind
    project_id: ProjectId
    queue: str
    database: str
    engine: EngineName | None
    engine_reason: str
    reads: tuple[str, ...]
    columns: tuple[str, ...]
    cost: CostEstimate | None
    findings: tuple[Finding, ...]
    quote: Quote | None
    prepare_ms: float
    text: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list; all conditions must hold, an empty one holds always."""

    kinds: frozenset[JobKind] = frozenset()
    states: frozenset[JobState] = frozenset()
    parent_id: JobId | None = None  #: nodes of this pipeline run
    queue: str | None = None
    engine: EngineName | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    created_from: datetime | None = None  #: inclusive
    created_to: datetime | None = None  #: exclusive
