"""``/jobs``: every kind in one list and one envelope."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.service import Service, in_process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home: Path = tmp_path_factory.mktemp("jobs") / "home"
    with in_process(home) as running:
        yield running


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def statement(
    admin: httpx.Client, sql: str = "SHOW DATABASES", **body: object
) -> dict[str, object]:
    told = admin.post("/statements", json={"sql": sql, **body})
    assert told.status_code in (200, 202), told.text
    found: dict[str, object] = told.json()
    return found


def test_a_statement_is_a_job_too(admin: httpx.Client) -> None:
    made = statement(admin, labels={"a": "b"}, priority=5)
    told = admin.get(f"/jobs/{made['id']}").json()
    assert told == made | {"links": told["links"]}
    assert told["priority"] == 5
    listed = admin.get("/jobs", params={"kind": "statement", "label": "a=b"}).json()["items"]
    assert made["id"] in [item["id"] for item in listed]
    assert admin.get("/jobs", params={"kind": "batch"}).json()["items"] == []


def test_a_job_tells_its_story(admin: httpx.Client) -> None:
    made = statement(admin)
    story = admin.get(f"/jobs/{made['id']}/explain").json()["story"]
    assert story[0].endswith("submitted by admin")
    assert story[-1].endswith("finished")


def test_a_refused_job_says_what_to_do(admin: httpx.Client) -> None:
    refused = admin.post("/statements", json={"sql": "SELECT * FROM nowhere"}).json()
    told = admin.get(f"/jobs/{refused['job_id']}/explain").json()["story"]
    assert "refused (table_not_found)" in told[0]
    assert any(line.startswith("It failed with table_not_found") for line in told)


def test_a_statement_has_no_log(admin: httpx.Client) -> None:
    made = statement(admin)
    told = admin.get(f"/jobs/{made['id']}/logs")
    assert (told.status_code, told.json()["code"]) == (404, "log_not_found")


def test_a_job_without_a_lease_cannot_be_renewed(admin: httpx.Client) -> None:
    made = statement(admin)
    told = admin.post(f"/jobs/{made['id']}/renew")
    assert (told.status_code, told.json()["code"]) == (409, "lease_missing")


def test_a_silent_client_ends_its_job(admin: httpx.Client) -> None:
    long = "SELECT count(*) FROM range(1000000000) a JOIN range(100000) b ON a.id % 7 = b.id % 7"
    made = statement(admin, long, wait="0s", lease={"ttl": "2s"})
    for _ in range(3):
        assert not admin.post(f"/jobs/{made['id']}/renew").json()["terminal"]
        threading.Event().wait(1.0)
    told = admin.get(f"/jobs/{made['id']}").json()
    assert not told["terminal"], "it was renewed in time"
    while not told["terminal"]:
        told = admin.get(f"/jobs/{made['id']}", params={"wait": "10s"}).json()
    assert (told["state"], told["error"]["code"]) == ("cancelled", "client_gone")
    story = admin.get(f"/jobs/{made['id']}/explain").json()["story"]
    assert any("its client was not heard of in time" in line for line in story)


def test_who_cancelled_is_told(admin: httpx.Client) -> None:
    long = "SELECT count(*) FROM range(1000000000) a JOIN range(100000) b ON a.id % 7 = b.id % 7"
    made = statement(admin, long, wait="0s")
    admin.post(f"/jobs/{made['id']}/cancel")
    told = admin.get(f"/jobs/{made['id']}").json()
    while not told["terminal"]:
        told = admin.get(f"/jobs/{made['id']}", params={"wait": "10s"}).json()
    story = admin.get(f"/jobs/{made['id']}/explain").json()["story"]
    assert any(line.endswith("admin asked for its end") for line in story)
    assert told["timings_ms"]["cancel"] > 0


def test_the_schema_of_a_job_is_published(admin: httpx.Client) -> None:
    schema = admin.get("/schemas/job.json").json()
    assert {option["$ref"] for option in schema["oneOf"]} >= {"#/$defs/StatementBody"}
