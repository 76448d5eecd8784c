"""What can go wrong between a client and the service, as the client sees it.

Not ``ServiceError``: those are what the service itself decides. These carry what it said (an RFC
9457 problem) or that it said nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_KNOWN = frozenset(
    {"type", "title", "status", "detail", "instance", "code", "hint", "retryable", "line", "column"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A failure as the service tells it, in an answer or as the ``error`` of a statement."""

    code: str
    message: str
    status: int | None = None  #: None for the error of a statement that ended badly
    hint: str | None = None
    retryable: bool = False
    line: int | None = None  #: of the SQL text, from 1
    column: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, body: Mapping[str, Any], *, status: int | None = None) -> Problem:
        """From an RFC 9457 body or from the ``error`` of an envelope."""
        message = body.get("detail") or body.get("message") or body.get("title") or "failed"
        details = dict(body.get("details") or {})
        details |= {name: value for name, value in body.items() if name not in _KNOWN}
        details.pop("details", None)
        details.pop("message", None)
        return cls(
            code=str(body.get("code") or "unknown"),
            message=str(message),
            status=status,
            hint=body.get("hint"),
            retryable=bool(body.get("retryable", False)),
            line=_place(body.get("line")),
            column=_place(body.get("column")),
            details=details,
        )


class RemoteError(Exception):
    """Base of what a client raises about the service."""


class ApiError(RemoteError):
    """The service answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        hint = f" ({problem.hint})" if problem.hint else ""
        super().__init__(f"{problem.message}{hint}")
        self.problem = problem

    @property
    def code(self) -> str:
        """The stable name of what went wrong, as in ``docs/errors.md``."""
        return self.problem.code

    @property
    def status(self) -> int | None:
        """The HTTP status; None where a statement failed after it had been accepted."""
        return self.problem.status


class StatementFailedError(ApiError):
    """A statement ended as ``failed`` or ``cancelled``; ``statement_id`` names it."""

    def __init__(self, problem: Problem, *, statement_id: str, state: str) -> None:
        super().__init__(problem)
        self.statement_id = statement_id
        self.state = state


class UnreachableError(RemoteError):
    """Nothing answered at the address, or not in time."""


def _place(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
