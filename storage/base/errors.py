"""What can go wrong, as values that callers may tell apart.

Each failure that a person can meet is a class with a stable ``code``, below one of the categories
here. A category decides how the failure is told at the edges (the HTTP status, the exit code of the
command line), so a new error needs no change there. Programming mistakes are ``ValueError`` and
``AssertionError``, never these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


class ServiceError(Exception):
    """Base of every expected failure: what happened, to which thing, and what to do.

    ``details`` hold ids and places (``line`` and ``column`` for SQL, both from 1), never secrets.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class InvalidInputError(ServiceError):
    """The request cannot be understood or asks for what does not exist in this form (400)."""

    code = "invalid_input"


class UnauthenticatedError(ServiceError):
    """Nobody known is asking (401)."""

    code = "unauthenticated"


class ForbiddenError(ServiceError):
    """The one who asks has no right to it (403)."""

    code = "forbidden"


class NotFoundError(ServiceError):
    """The named thing does not exist, or not for the one who asks (404)."""

    code = "not_found"


class ConflictError(ServiceError):
    """The thing is not in the state that the request needs, or somebody was first (409)."""

    code = "conflict"


class GoneError(ServiceError):
    """The thing existed and was removed (410)."""

    code = "gone"


class TooLargeError(ServiceError):
    """More bytes than the service takes (413)."""

    code = "too_large"


class RefusedError(ServiceError):
    """Understood and allowed in principle, but a guard or a cap says no (422)."""

    code = "refused"


class BusyError(ServiceError):
    """A bound is reached; the same request may pass later (429)."""

    code = "busy"
    retryable = True


class BrokenError(ServiceError):
    """A part failed in a way that asking again would not mend (500)."""

    code = "broken"


class UnavailableError(ServiceError):
    """A part that is needed does not answer now (503)."""

    code = "unavailable"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as it is kept in a row and told to a client; the exception's own stored form."""

    code: str
    message: str
    hint: str | None = None
    retryable: bool = False
    line: int | None = None
    column: int | None = None
    details: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, error: ServiceError) -> Failure:
        """The stored form of ``error``; ``line`` and ``column`` are lifted out of its details."""
        details = dict(error.details)
        line, column = details.pop("line", None), details.pop("column", None)
        return cls(
            code=error.code,
            message=error.message,
            hint=error.hint,
            retryable=error.retryable,
            line=line if isinstance(line, int) else None,
            column=column if isinstance(column, int) else None,
            details=details,
        )
