"""The short way into routes gives the answers of the long one, and is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastapi.routing
import httpx
import pytest

from tests.support.service import Service, in_process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with in_process(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


BODY = {"sql": "SELECT 1 AS one", "mode": "validate"}


def test_a_right_request_is_not_taken_apart_by_the_framework(
    admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def solved(**_: Any) -> None:
        raise AssertionError("the long way")

    monkeypatch.setattr(fastapi.routing, "solve_dependencies", solved)
    assert admin.post("/statements", json=BODY).json()["columns"] == ["one"]


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/JSON"])
def test_other_ways_to_say_json_are_understood(admin: httpx.Client, media_type: str) -> None:
    text = '{"sql": "SELECT 1 AS one", "mode": "validate"}'
    answer = admin.post("/statements", content=text, headers={"Content-Type": media_type})
    assert answer.json()["columns"] == ["one"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"sql": "SELECT 1", "wiat": "1s"}', "wiat"),
        (b'{"sql": 1}', "sql"),
        (b"{}", "sql"),
        (b"{", "body"),
        (b'{"sql": "\xff"}', "body"),
        (b'"SELECT 1"', "body"),
    ],
)
def test_a_wrong_body_is_explained_field_by_field(
    admin: httpx.Client, body: bytes, field: str
) -> None:
    here = {"Content-Type": "application/json"}
    told = admin.post("/statements", content=body, headers=here)
    assert told.status_code == 400
    assert told.json()["code"] == "invalid_request"
    assert field in told.json()["detail"]


def test_who_has_no_token_is_told_so_before_the_body_is_read(service: Service) -> None:
    answer = httpx.post(f"{service.url}/api/v1/statements", json={"wiat": 1})
    assert answer.json()["code"] == "token_missing"


@pytest.mark.parametrize("headers", [{"Idempotency-Key": "k" * 256}, {"DLI-Project": "p" * 65}])
def test_headers_are_bounded_as_on_the_long_way(
    admin: httpx.Client, headers: dict[str, str]
) -> None:
    answer = admin.post("/statements", json=BODY, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
