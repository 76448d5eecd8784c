"""The one door to jobs: submit, watch, cancel, list; and the queues they wait in."""

from __future__ import annotations

from datetime import timedelta

from jobs.loops.runner import Loop
from jobs.queues.definitions import (
    QueueChangedError,
    QueueDef,
    QueueExistsError,
    QueueFullError,
    QueueInUseError,
    QueueInvalidError,
    QueueMissingError,
)
from jobs.views import (
    JobEvent,
    JobFilter,
    JobView,
    PlanView,
    Progress,
    StatementRequest,
    Wait,
)
from storage.base.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from storage.base.ids import JobId, ProjectId
from storage.meta.paging import Page
from storage.results.manifest import Manifest

__all__ = [
    "EngineUnknownError", "IdempotencyConflictError", "JobEvent", "JobFilter", "JobMissingError",
    "JobService", "JobView", "Page", "PlanView", "Progress", "QueueChangedError", "QueueDef",
    "QueueExistsError", "QueueFullError", "QueueInUseError", "QueueInvalidError",
    "QueueMissingError", "StatementRequest", "Wait", "WriteForbiddenError",
]  # fmt: skip


class JobMissingError(NotFoundError):
    """There is no such statement in the project."""

    code = "statement_not_found"


class IdempotencyConflictError(ConflictError):
    """The idempotency key was used for another body."""

    code = "idempotency_conflict"


class EngineUnknownError(InvalidInputError):
    """There is no engine of that name."""

    code = "engine_unknown"


class WriteForbiddenError(ForbiddenError):
    """The statement changes something, and the one who asks may only read."""

    code = "write_forbidden"


class JobService:
    """Jobs of all projects, as one replica sees them. Methods are safe to call from any thread."""

    def submit(self, request: StatementRequest) -> JobView:
        """Prepare, price, reserve and keep a statement; start it here if its queue has room.

        Returns at once, before the statement runs. A refused statement raises its error with
        ``job_id`` in the details and is kept as a failed job. The same idempotency key and body
        give the same job again; another body raises ``IdempotencyConflictError``.
        """
        raise NotImplementedError

    def estimate(self, request: StatementRequest) -> PlanView:
        """What the statement touches and would cost; nothing is kept. Raises as ``submit``."""
        raise NotImplementedError

    def validate(self, request: StatementRequest) -> PlanView:
        """Whether the statement is right: syntax, names, types and rights; caps do not matter."""
        raise NotImplementedError

    def explain(self, request: StatementRequest) -> PlanView:
        """As ``estimate``, with ``text``."""
        raise NotImplementedError

    def get(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """The whole job. Raises ``JobMissingError``, also for another project's."""
        raise NotImplementedError

    def list(
        self, project_id: ProjectId, wanted: JobFilter, *, cursor: str | None, limit: int
    ) -> Page[JobView]:
        """Newest first. Raises ``InvalidCursorError``."""
        raise NotImplementedError

    def cancel(self, project_id: ProjectId, job_id: JobId) -> JobView:
        """Ask for the end: a queued job is cancelled at once, a running one is ``cancelling``.

        A job at its end is returned as it is, and so is one that is cancelling already.
        """
        raise NotImplementedError

    def events(
        self, project_id: ProjectId, job_id: JobId, *, after: int = 0
    ) -> tuple[JobEvent, ...]:
        """The steps with a version above ``after``, in order."""
        raise NotImplementedError

    def manifest(self, project_id: ProjectId, job_id: JobId) -> Manifest:
        """Of the result. Raises ``ResultMissingError`` and ``ResultExpiredError``."""
        raise NotImplementedError

    def delete_result(self, project_id: ProjectId, job_id: JobId) -> None:
        """Remove the result's rows; the job stays. Twice is the same as once."""
        raise NotImplementedError

    def queues(self, project_id: ProjectId) -> tuple[QueueDef, ...]:
        """All queues of the project, by name."""
        raise NotImplementedError

    def queue(self, project_id: ProjectId, name: str) -> QueueDef:
        """One queue. Raises ``QueueMissingError`` with near names."""
        raise NotImplementedError

    def create_queue(self, queue: QueueDef) -> QueueDef:
        """Raises ``QueueInvalidError`` and ``QueueExistsError``."""
        raise NotImplementedError

    def update_queue(self, queue: QueueDef) -> QueueDef:
        """Replace the definition at ``queue.version``; raises ``QueueChangedError`` if it is past.

        Jobs that wait or run keep what they were admitted with; limits on them hold from now on.
        """
        raise NotImplementedError

    def delete_queue(self, project_id: ProjectId, name: str) -> None:
        """Raises ``QueueMissingError``, and ``QueueInUseError`` while jobs are in it."""
        raise NotImplementedError

    def loops(self) -> tuple[Loop, ...]:
        """The background work of this replica; the caller gives each a thread."""
        raise NotImplementedError

    def drain(self, timeout: timedelta) -> bool:
        """Take no more work, wait for what runs here, then hand the rest over to other replicas.

        True when everything had ended by itself. The service does not start anything afterwards.
        """
        raise NotImplementedError
