"""A job as a frozen value: what was asked for, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.lifecycle.spec import JobKind, JobSpec, PipelineSpec, StatementSpec
from jobs.lifecycle.states import JobState
from jobs.usage import Quote
from storage.base.errors import Failure
from storage.base.ids import CanaryId, JobId, ProjectId, RunId, UserId

TURN_STEP = timedelta(minutes=10)  #: of waiting is worth one step of priority


class CancelReason(StrEnum):
    """Why a job is made to stop."""

    REQUESTED = "requested"
    TIMEOUT = "timeout"
    CLIENT_GONE = "client_gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job at one version. Money and quantities are integers; times are aware UTC.

    ``owner`` and ``lease_until`` are set exactly in the owned states. ``attempt`` counts the
    claims, from 1. From ``priority`` to ``memory_bytes`` nothing ever changes, but that an attempt
    after one that ran out of memory reserves more. A statement reserves nothing: the engine that
    it shares is a run of its own.
    """

    id: JobId
    kind: JobKind
    project_id: ProjectId
    user_id: UserId
    queue: str
    spec: JobSpec
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
    image: str | None = None  #: of the engine; None where it is no pod
    canary_id: CanaryId | None = None  #: whose image that is; None: the queue's own
    cancel_reason: CancelReason | None = None
    quote: Quote | None = None
    failure: Failure | None = None
    priority: int = 0  #: higher starts first
    parent_id: JobId | None = None  #: the pipeline run that it belongs to
    node: str | None = None  #: which one there
    cpu_millis: int = 0  #: thousandths of cores that are reserved from its claim to its end
    memory_bytes: int = 0  #: likewise
    client_until: datetime | None = None  #: it is cancelled unless its client is heard before
    cluster: str | None = None  #: of the current attempt's run, where there are several

    @property
    def turn(self) -> datetime:
        """Orders the jobs of a queue: the submit, less ``TURN_STEP`` for each step of priority.

        It never changes, so nobody is overtaken by more than those of a bound time.
        """
        return self.created_at - self.priority * TURN_STEP

    @property
    def depth(self) -> int:
        """How many pipeline runs a run is within; 0 for other kinds."""
        return self.spec.depth if isinstance(self.spec, PipelineSpec) else 0

    @property
    def waits_for_money(self) -> bool:
        """Whether it is queued without its money; only then a pause comes before any attempt."""
        return self.attempt == 0 and self.not_before is not None

    @property
    def statement(self) -> StatementSpec:
        """What a statement asked for; an error in the code for other kinds."""
        assert isinstance(self.spec, StatementSpec), f"{self.id} is no statement"
        return self.spec
