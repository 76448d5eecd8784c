"""How refusals look, for the description of the API."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from dli.api.schemas.fields import Reply


class ProblemReply(Reply):
    """RFC 9457, with a stable `code`; more members hold details of the code."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; see docs/errors.md.")
    hint: str | None
    retryable: bool = Field(description="Whether the same request may pass later.")
    line: int | None = Field(None, description="Of the SQL text, from 1.")
    column: int | None = Field(None, description="Of the SQL text, from 1.")
    instance: str | None = None


_SAID = {
    400: "The request is wrong in form or in what it names; SQL errors have line and column.",
    401: "No token, or one that is not good.",
    403: "The caller's role or a setting does not allow it.",
    404: "There is no such thing for the caller.",
    409: "The thing is not in the state that this needs.",
    410: "The thing was there and is gone.",
    413: "The body is too large.",
    422: "Refused by a guard or a cap.",
    429: "A limit is reached; `Retry-After` says when to ask again.",
    503: "A part that is needed is away.",
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": said,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemReply"}}
        },
    }
    for status, said in _SAID.items()
}
PROBLEMS["default"] = {"model": ProblemReply, "description": "Any other failure."}
