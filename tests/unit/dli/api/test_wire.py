"""Every failure has its own code and a status; a problem tells all and keeps secrets."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator

import pytest

import dli
import jobs
import sql
import storage
from dli.api.wire import WIRE, problem, status_of
from storage.base.errors import BusyError, InvalidInputError, ServiceError, UnauthenticatedError


def load_everything() -> None:
    """Import all modules but those that run something when imported."""
    for package in (dli, jobs, sql, storage):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "migrations.env")) and (
                ".versions." not in module.name
            ):
                importlib.import_module(module.name)


def errors() -> Iterator[type[ServiceError]]:
    """All error classes of the service."""
    found = [ServiceError]
    while found:
        kind = found.pop()
        yield kind
        found.extend(kind.__subclasses__())


def test_every_error_has_a_code_of_its_own_and_a_status() -> None:
    load_everything()
    codes: dict[str, type[ServiceError]] = {}
    for kind in errors():
        if not kind.__module__.startswith(("dli.", "jobs.", "sql.", "storage.")):
            continue
        other = codes.setdefault(kind.code, kind)
        assert other is kind, f"{kind} and {other} share the code {kind.code}"
        assert kind.__doc__, kind
        assert 400 <= status_of(kind) < 600
        assert kind in WIRE or status_of(kind) != 500 or issubclass(kind, ServiceError)
    assert len(codes) > 60


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
