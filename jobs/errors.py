"""What the one who asks for a statement can be told, beside what is wrong with its SQL."""

from __future__ import annotations

from storage.base.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
)


class JobMissingError(NotFoundError):
    """There is no such statement in the project."""

    code = "statement_not_found"


class IdempotencyConflictError(ConflictError):
    """The idempotency key was used for another body."""

    code = "idempotency_conflict"


class EngineUnknownError(InvalidInputError):
    """There is no engine of that name."""

    code = "engine_unknown"


class RequestInvalidError(InvalidInputError):
    """A value beside the SQL is out of its bounds; ``field`` is in the details."""

    code = "statement_request_invalid"


class WriteForbiddenError(ForbiddenError):
    """The statement changes something, and the one who asks may only read."""

    code = "write_forbidden"
