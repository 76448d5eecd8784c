"""A firing: one occasion at which a schedule or a trigger had to submit its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from jobs.documents import Document
from storage.base.errors import Failure
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.database import Tx

#: Labels of jobs that were submitted by themselves, from which they can be found and told apart.
LABEL_SCHEDULE = "dli.schedule"  #: its name
LABEL_TRIGGER = "dli.trigger"  #: its name
LABEL_FIRING = "dli.firing"
LABEL_CHAIN = "dli.chain"  #: how many triggers in a row led to the job


class FiringState(StrEnum):
    """What became of a firing. The last three are for ever."""

    WAITING = "waiting"  #: until the job before it has ended
    PENDING = "pending"  #: about to be submitted
    FIRED = "fired"
    SKIPPED = "skipped"
    FAILED = "failed"


class SkipReason(StrEnum):
    """Why a firing submitted nothing."""

    MISSED = "missed"  #: nobody was there at its time
    OVERLAP = "overlap"  #: the job before it had not ended
    PAUSED = "paused"
    DELETED = "deleted"  #: its schedule or trigger was


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One row, unique by its source and its cause, whoever finds it due.

    ``document`` is what to submit with its references replaced, until it was submitted.
    """

    id: str  #: fir_…
    project_id: ProjectId
    source_id: str  #: sch_… or trg_…
    cause: str  #: the due time; the object, the delivery or the job that pulled the trigger
    due_at: datetime
    state: FiringState
    user_id: UserId
    created_at: datetime
    document: Document | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    reason: SkipReason | None = None
    until: datetime | None = None  #: of a skipped one that stands for all due times before this
    exclusive: bool = False  #: no other of its source may run beside it
    attempts: int = 0
    job_id: JobId | None = None
    error: Failure | None = None  #: of the last attempt
    ended_at: datetime | None = None  #: when it was submitted, skipped or failed

    def told(self) -> Mapping[str, Any]:
        """What a notification says of it."""
        error = self.error
        return {
            "id": self.id,
            "source": self.source_id,
            "due_at": self.due_at.isoformat(),
            "state": self.state.value,
            "job": self.job_id,
            "error": None if error is None else {"code": error.code, "message": error.message},
        }


class Authors(Protocol):
    """In whose name jobs run; ``dli`` knows their rights."""

    def may_write(self, tx: Tx, project_id: ProjectId, user_id: UserId) -> bool:
        """Whether the user may change tables now. Raises ``AuthorRightsError`` without a role."""


class FailedFirings(Protocol):
    """Who wants to hear of firings that came to nothing."""

    def firing_failed(self, tx: Tx, firing: Firing, *, at: datetime) -> None:
        """Keep the news in the transaction that writes the failure."""
