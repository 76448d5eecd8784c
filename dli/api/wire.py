"""How failures are told over HTTP: RFC 9457 problems, with a status by the error's category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from storage.base.errors import (
    BrokenError,
    BusyError,
    ConflictError,
    Failure,
    ForbiddenError,
    GoneError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    ServiceError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)

PROBLEM = "application/problem+json"

#: Where the codes are explained; the last part is the code.
TYPE = "/docs/errors#"


class NotAcceptableError(InvalidInputError):
    """None of the forms in ``Accept`` can be served."""

    code = "not_acceptable"


class RouteMissingError(NotFoundError):
    """There is nothing at this path."""

    code = "path_not_found"


class MethodNotAllowedError(InvalidInputError):
    """The path is served, but not by this method."""

    code = "method_not_allowed"


class InvalidRequestError(InvalidInputError):
    """The request's form is wrong; ``errors`` name each field."""

    code = "invalid_request"


class BodyTooLargeError(TooLargeError):
    """The request's body has more bytes than the service takes."""

    code = "body_too_large"


class InternalError(BrokenError):
    """A mistake in the service; its log has the details under the request's id."""

    code = "internal_error"


#: Error class → HTTP status. The nearest class in the MRO wins.
WIRE: Mapping[type[ServiceError], int] = {
    InvalidInputError: 400,
    NotAcceptableError: 406,
    MethodNotAllowedError: 405,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    GoneError: 410,
    TooLargeError: 413,
    RefusedError: 422,
    BusyError: 429,
    BrokenError: 500,
    UnavailableError: 503,
    ServiceError: 500,
}
_TITLES = {
    400: "Invalid request",
    401: "Not authenticated",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    422: "Refused",
    429: "Busy",
    500: "Internal error",
    503: "Unavailable",
}


def status_of(kind: type[ServiceError]) -> int:
    """The HTTP status of an error class."""
    return next(WIRE[base] for base in kind.__mro__ if base in WIRE)


def failure_json(failure: Failure) -> dict[str, Any]:
    """A failure inside an answer; places only where there are some."""
    body: dict[str, Any] = {
        "code": failure.code,
        "message": failure.message,
        "hint": failure.hint,
        "retryable": failure.retryable,
    }
    if failure.line is not None:
        body |= {"line": failure.line, "column": failure.column}
    if failure.details:
        body["details"] = failure.details
    return body


def problem_json(error: ServiceError, *, instance: str | None = None) -> dict[str, Any]:
    """The body of a problem. Details of the error are members of it, as RFC 9457 has them."""
    status = status_of(type(error))
    failure = Failure.of(error)
    body: dict[str, Any] = {
        **failure.details,
        "type": TYPE + failure.code,
        "title": _TITLES[status],
        "status": status,
        "detail": failure.message,
        "code": failure.code,
        "hint": failure.hint,
        "retryable": failure.retryable,
    }
    if failure.line is not None:
        body |= {"line": failure.line, "column": failure.column}
    if instance is not None:
        body["instance"] = instance
    return body


def problem(error: ServiceError, *, instance: str | None = None) -> Response:
    """The answer that tells ``error``, with the headers that its status asks for."""
    status = status_of(type(error))
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="dli"'
    if error.retryable and status in (429, 503):
        headers["Retry-After"] = str(error.details.get("retry_after", 1))
    return Response(
        content=dumps(problem_json(error, instance=instance)),
        status_code=status,
        headers=headers,
        media_type=PROBLEM,
    )


def dumps(body: object) -> bytes:
    """Compact JSON; what JSON has no form for is told as text."""
    return to_json(body, fallback=str, inf_nan_mode="constants")


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that is not validated again: its shape is that of the documented schema."""
    return Response(
        content=dumps(body),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json",
    )


def page_json(items: Sequence[object], next_cursor: str | None = None) -> dict[str, Any]:
    """The one form of lists."""
    return {"items": list(items), "next_cursor": next_cursor}
