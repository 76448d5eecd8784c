"""A job as a frozen value: what was asked for, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.lifecycle.states import JobState
from jobs.usage import Quote
from storage.base.errors import Failure
from storage.base.ids import JobId, ProjectId, RunId, UserId


class JobKind(StrEnum):
    """What was asked for; later kinds are batch, task and pipeline run."""

    STATEMENT = "statement"


class EngineName(StrEnum):
    """The engines that statements run on."""

    SAIL = "sail"
    SPARK = "spark"


class CancelReason(StrEnum):
    """Why a job is made to stop."""

    REQUESTED = "requested"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSpec:
    """What was asked for; never changes after the submit."""

    sql: str
    database: str
    engine: EngineName | None  #: None: the queue's default
    engine_reason: str
    statement_type: str
    labels: Mapping[str, str] = field(default_factory=dict)
    max_cost: int | None = None  #: nanos
    max_bytes: int | None = None
    timeout: timedelta
    result_ttl: timedelta
    max_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job at one version. Money and quantities are integers; times are aware UTC.

    ``plan`` is the stored form of the ``PreparedStatement`` (None for a refused statement), pinned
    to the snapshots of the submit, so that every attempt runs the same thing. ``owner`` and
    ``lease_until`` are set exactly in the owned states. ``attempt`` counts the claims, from 1.
    """

    id: JobId
    kind: JobKind
    project_id: ProjectId
    user_id: UserId
    queue: str
    spec: StatementSpec
    state: JobState
    version: int
    attempt: int
    max_attempts: int
    created_at: datetime
    started_at: datetime | None = None  #: of the current attempt's RUNNING
    ended_at: datetime | None = None
    deadline: datetime | None = None
    owner: str | None = None  #: replica id
    lease_until: datetime | None = None
    not_before: datetime | None = None  #: a retry waits until then
    run_id: RunId | None = None  #: the engine that serves, or served, the current attempt
    engine_version: str | None = None
    cancel_reason: CancelReason | None = None
    quote: Quote | None = None
    failure: Failure | None = None
