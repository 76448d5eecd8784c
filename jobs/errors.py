"""What the one who asks for a job can be told, beside what is wrong with its SQL."""

from __future__ import annotations

from storage.base.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidInputError,
    NotFoundError,
)


class JobMissingError(NotFoundError):
    """There is no such job in the project."""

    code = "job_not_found"


class IdempotencyConflictError(ConflictError):
    """The idempotency key was used for another body."""

    code = "idempotency_conflict"


class EngineUnknownError(InvalidInputError):
    """There is no engine of that name."""

    code = "engine_unknown"


class RequestInvalidError(InvalidInputError):
    """A job asks for what no job of its kind can have; ``field`` is in the details."""

    code = "job_invalid"


class WriteForbiddenError(ForbiddenError):
    """The statement changes something, and the one who asks may only read."""

    code = "write_forbidden"


class LeaseMissingError(ConflictError):
    """The job has no lease that its client could renew."""

    code = "lease_missing"


class LogExpiredError(GoneError):
    """What the run wrote was removed: it is kept for so long only."""

    code = "log_expired"


class LogMissingError(NotFoundError):
    """The job writes no log, or has made no such attempt."""

    code = "log_not_found"
