"""Every failure has its own code and a status; a problem tells all and keeps secrets."""

from __future__ import annotations

import json

import pytest

from dli.api.wire import problem, status_of
from dli.reference import error_classes
from storage.base.errors import (
    BusyError,
    InvalidInputError,
    ServiceError,
    UnauthenticatedError,
    UnavailableError,
)


def test_every_error_has_a_status_of_its_category() -> None:
    for kind in error_classes():
        assert status_of(kind) in range(400, 600), kind
        assert (status_of(kind) == 503) == issubclass(kind, UnavailableError), kind


def test_a_problem_has_place_hint_and_details() -> None:
    error = InvalidInputError("no column x", hint="did you mean y?", line=2, column=7, name="x")
    response = problem(error, instance="/api/v1/statements")
    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "/docs/errors#invalid_input",
        "title": "Invalid request",
        "status": 400,
        "detail": "no column x",
        "code": "invalid_input",
        "hint": "did you mean y?",
        "retryable": False,
        "line": 2,
        "column": 7,
        "name": "x",
        "instance": "/api/v1/statements",
    }


def test_details_cannot_replace_what_a_problem_is_made_of() -> None:
    body = json.loads(bytes(problem(InvalidInputError("m", status="x", code="y")).body))
    assert (body["status"], body["code"]) == (400, "invalid_input")


@pytest.mark.parametrize(
    ("error", "name"),
    [(BusyError("full"), "retry-after"), (UnauthenticatedError("who?"), "www-authenticate")],
)
def test_some_statuses_come_with_their_header(error: ServiceError, name: str) -> None:
    assert problem(error).headers[name]
