"""The REST API as a program meets it that knows nothing of our client."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.service import Service
from dli.client import MEDIA, Client
from tests.e2e.conftest import Starter

pytestmark = pytest.mark.xdist_group("e2e")

VALUES = """
SELECT * FROM VALUES
 (1, 9007199254740993L, CAST(1.10 AS decimal(10,2)), DATE '2026-01-02', 'ä;"x', true, 1.5D),
 (2, NULL, NULL, NULL, NULL, NULL, NULL)
AS t(i, big, dec, day, text, flag, dbl) ORDER BY i"""


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {service.token}"}
    with httpx.Client(base_url=f"{service.url}/api/v1", headers=headers, timeout=90) as http:
        yield http


def finished(http: httpx.Client, sql: str, **fields: Any) -> dict[str, Any]:
    answer = http.post("/statements", json={"sql": sql, "wait": "60s", **fields})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["state"] == "finished", body["error"]
    return body


def test_envelope_has_the_names_of_the_contract(http: httpx.Client) -> None:
    body = finished(http, "SELECT count(*) AS n FROM tpch.lineitem", labels={"team": "a"})
    names = """id kind statement_type state terminal project queue database labels engine
        created_at ended_at estimate wait timings_ms progress result usage bill error history
        links"""
    assert set(names.split()) <= set(body)
    steps = "prepare queue engine bind execute publish total"
    assert set(steps.split()) <= set(body["timings_ms"])
    assert body["result"]["inline"] == [["600572"]]
    assert [step["state"] for step in body["history"]][-1] == "finished"
    assert body["bill"]["amount"] == body["estimate"]["price"]["amount"]
    for link in body["links"].values():
        assert link.startswith("/api/v1/statements/")


def test_every_form_has_the_same_rows(http: httpx.Client, client: Client) -> None:
    body = finished(http, VALUES)
    forms = {
        form: http.get(f"/statements/{body['id']}/result", headers={"Accept": media})
        for form, media in MEDIA.items()
    }
    assert all(answer.status_code == 200 for answer in forms.values())
    arrow = pa.ipc.open_stream(forms["arrow"].content).read_all().to_pylist()
    assert arrow == pq.read_table(io.BytesIO(forms["parquet"].content)).to_pylist()
    assert arrow[0]["big"] == 9007199254740993
    assert arrow[0]["dec"] == Decimal("1.10")
    assert body["result"]["inline"][0][1] == "9007199254740993", "64-bit integers are strings"
    rows = list(csv.reader(io.StringIO(forms["csv"].text)))
    assert rows[0] == ["i", "big", "dec", "day", "text", "flag", "dbl"]
    assert rows[1][:5] == ["1", "9007199254740993", "1.10", "2026-01-02", 'ä;"x']
    assert len(json.loads(forms["json"].content)) > 0


def test_unknown_form_is_refused(http: httpx.Client) -> None:
    body = finished(http, "SELECT 1")
    answer = http.get(f"/statements/{body['id']}/result", headers={"Accept": "image/png"})
    assert answer.status_code == 406


def test_same_key_is_the_same_statement(http: httpx.Client) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = http.post("/statements", json={"sql": "SELECT 5"}, headers=key).json()
    assert (
        http.post("/statements", json={"sql": "SELECT 5"}, headers=key).json()["id"] == first["id"]
    )
    other = http.post("/statements", json={"sql": "SELECT 6"}, headers=key)
    assert other.status_code == 409


def test_events_resume_where_they_ended(http: httpx.Client) -> None:
    body = finished(http, "SELECT 7")
    seen = events(http, body["id"])
    assert [event["state"] for _, event in seen if "state" in event][-1] == "finished"
    numbers = [number for number, _ in seen if number is not None]
    assert numbers == sorted(numbers)
    rest = events(http, body["id"], after=numbers[0])
    assert [number for number, _ in rest if number is not None] == numbers[1:]


def events(
    http: httpx.Client, statement_id: str, *, after: int | None = None
) -> list[tuple[int | None, dict[str, Any]]]:
    """Number and data of each event until the stream ends."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    found: list[tuple[int | None, dict[str, Any]]] = []
    number = None
    with http.stream("GET", f"/statements/{statement_id}/events", headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("id:"):
                number = int(line[3:])
            elif line.startswith("data:"):
                found.append((number, json.loads(line[5:])))
                number = None
    return found


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, "sql"),
        ({"sql": "SELECT 1", "qeue": "default"}, 400, "qeue"),
        ({"sql": "SELECT 1", "wait": "2h"}, 400, "wait"),
        ({"sql": "SELECT 1", "max_cost": "-1"}, 400, "max_cost"),
        ({"sql": "SELECT 1; SELECT 2"}, 400, "statement"),
        ({"sql": "SELECT :a"}, 400, "a"),
        ({"sql": "SELECT * FROM nowhere.t"}, 404, "nowhere"),
    ],
)
def test_bad_request_is_a_problem_that_names_its_part(
    http: httpx.Client, body: dict[str, Any], status: int, told: str
) -> None:
    answer = http.post("/statements", json=body)
    problem = answer.json()
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.status_code in {status, 400}, problem
    assert told in problem["detail"]
    assert {"type", "title", "status", "detail", "code", "retryable"} <= set(problem)


def test_refused_statement_is_kept_as_failed(http: httpx.Client) -> None:
    label = uuid.uuid4().hex
    text = "SELECT sum(l_tax) FROM tpch.lineitem"
    asked = {"sql": text, "max_bytes": 1, "labels": {"case": label}}
    assert http.post("/statements", json=asked).status_code == 422
    (item,) = http.get("/statements", params={"label": f"case={label}"}).json()["items"]
    assert item["state"] == "failed"
    assert item["bill"] is None or Decimal(item["bill"]["amount"]) == 0


@pytest.mark.parametrize("path", ["/statements", "/queues", "/databases", "/usage", "/tokens"])
def test_nobody_is_refused(service: Service, path: str) -> None:
    answer = httpx.get(f"{service.url}/api/v1{path}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_openapi_names_every_call(service: Service) -> None:
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    for path in ("/statements", "/statements/{statement_id}/events", "/usage", "/prices",
                 "/databases/{database}/tables/{table}", "/queues/{queue}"):  # fmt: skip
        assert f"/api/v1{path}" in paths
    assert httpx.get(f"{service.url}/docs").status_code == 200


def test_result_is_gone_after_its_time(http: httpx.Client) -> None:
    body = finished(http, "SELECT 1", result={"ttl": "1s"})
    assert http.delete(f"/statements/{body['id']}/result").status_code == 204
    answer = http.get(f"/statements/{body['id']}/result")
    assert answer.status_code in {404, 410}


def test_long_list_is_read_page_by_page(http: httpx.Client) -> None:
    label = uuid.uuid4().hex
    for _ in range(5):
        finished(http, "SELECT 1", labels={"case": label})
    seen: list[str] = []
    query: dict[str, str | int] = {"label": f"case={label}", "limit": 2}
    while True:
        page = http.get("/statements", params=query).json()
        seen += [item["id"] for item in page["items"]]
        if not page["next_cursor"]:
            break
        query["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


def test_truncated_result_says_so(http: httpx.Client) -> None:
    result = finished(http, "SELECT * FROM tpch.nation", result={"max_rows": 3})["result"]
    assert (result["rows"], result["truncated"]) == (3, True)


def test_files_that_vanish_are_told_by_name(starter: Starter, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a", "b"):
        pq.write_table(pa.table({"n": [1]}), data / f"{name}.parquet")
    service = starter(tmp_path / "home", allow=[data])
    service.await_ready()
    with service.client() as client:
        client.register_table("default.t", str(data))
        assert client.query("SELECT sum(n) AS s FROM default.t")["s"].to_pylist() == [2]
        (data / "b.parquet").unlink()
        failed = client.submit("SELECT sum(n) AS s FROM default.t", wait="60s")
        if failed.state == "finished":  # the listing was looked at again, and one file is left
            assert failed.result is not None
            assert failed.result.inline == [["1"]]
        else:
            assert failed.error is not None
            assert "b.parquet" in failed.error.message
