"""What can happen to a job. ``machine.decide`` says what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.base.errors import Failure
from storage.base.ids import CanaryId, RunId


class Fault(StrEnum):
    """Whose failure it is; what is tried again is for the job's ``RetryPolicy`` to say."""

    USER = "user"
    PLATFORM = "platform"
    MEMORY = "out_of_memory"  #: the user's, but more memory mends it


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A replica takes a queued job for a new attempt, until its lease ends.

    ``cluster`` is where its run will live, where there are several: chosen here, once and for all,
    so that whoever launches the run does it there.
    """

    at: datetime
    owner: str
    lease_until: datetime
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """Another replica, or another life of it, takes over a job together with its living run."""

    at: datetime
    owner: str
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReady:
    """The work starts. ``run_id`` is None for a statement that the catalog answers."""

    at: datetime
    run_id: RunId | None = None
    engine_version: str | None = None
    image: str | None = None
    canary_id: CanaryId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReady:
    """All rows are there, or all files are written; nobody can see them yet."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The result, or the new version of the table, is visible from here on."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The attempt ended without a result; what follows is for the next one, if there is one."""

    at: datetime
    failure: Failure
    fault: Fault
    not_before: datetime | None = None
    memory_bytes: int | None = None  #: that the next one reserves; None: as much as this one


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseExpired:
    """The owner was silent for too long. The reaper has seen that its work has ended."""

    at: datetime
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """The owner stops, as asked to, and gives the job back; no fault, so no attempt is lost.

    ``unanswered`` is the cluster that gave no answer when the run was to start there: nothing did,
    and another may take it.
    """

    at: datetime
    unanswered: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Somebody wants the job to end, or nobody is there any more who wants it to go on."""

    at: datetime
    by: str | None = None
    client_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed:
    """The job's time is over, wherever it is."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The work of a job that is being cancelled is seen to have ended."""

    at: datetime


Event = (
    Claimed
    | Adopted
    | EngineReady
    | ResultReady
    | Published
    | Failed
    | LeaseExpired
    | HandedOver
    | CancelRequested
    | DeadlinePassed
    | Stopped
)

#: How events are called in the history of a job; stable, since rows and clients hold them.
KINDS: dict[type[Event], str] = {
    Claimed: "claimed",
    Adopted: "adopted",
    EngineReady: "started",
    ResultReady: "result_ready",
    Published: "published",
    Failed: "failed",
    LeaseExpired: "lease_expired",
    HandedOver: "handed_over",
    CancelRequested: "cancel_requested",
    DeadlinePassed: "deadline_passed",
    Stopped: "stopped",
}
SUBMITTED = "submitted"  #: the first event of an accepted job
REFUSED = "refused"  #: the only event of a job that is kept just to be shown
