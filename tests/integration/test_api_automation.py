"""Schedules, triggers and webhooks over HTTP, with the real jobs behind them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.signing import DELIVERY, SIGNATURE, TIMESTAMP, check_signature, signature_of
from tests.support.automation import Target, target
from tests.support.service import Service, in_process

SQL = {"kind": "statement", "sql": "SELECT :day AS day", "parameters": {"day": {"ref": "due_date"}}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    with in_process(home, webhook_private_targets=True) as running:
        yield running


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def listener() -> Iterator[Target]:
    with target() as made:
        yield made


def awaited(look: Callable[[], Any], seconds: float = 20) -> Any:
    """What ``look`` gives, as soon as it gives something."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        found = look()
        if found:
            return found
        pause.wait(0.05)
    raise AssertionError("nothing came in time")


def fired(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = http.get(f"{path}/firings").json()["items"]
    return [item for item in items if item["state"] == "fired"]


def test_a_schedule_lives_and_fires(http: httpx.Client) -> None:
    body = {"name": "often", "every": "1s", "job": SQL, "missed": "all", "missed_most": 10}
    made = http.post("/schedules", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["every"] == "1s"
    assert http.post("/schedules", json=body).json()["code"] == "schedule_exists"
    firing = awaited(lambda: fired(http, "/schedules/often"))[-1]
    job = awaited(
        lambda: (found := http.get(f"/jobs/{firing['job']}").json())["terminal"] and found
    )
    assert job["state"] == "finished", job
    assert job["labels"]["dli.schedule"] == "often"
    assert job["result"]["inline"] == [[f"{datetime.now(UTC):%Y-%m-%d}"]]
    assert http.post("/schedules/often/pause").json()["paused"] is True
    assert http.get("/schedules/often").json()["next_due"] is None
    assert http.post("/schedules/often/resume").json()["paused"] is False
    assert http.delete("/schedules/often").status_code == 204
    assert http.get("/schedules/often").json()["code"] == "schedule_not_found"


def test_next_times_are_told_as_clocks_show_them(http: httpx.Client) -> None:
    body = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "job": SQL}
    assert http.post("/schedules", json=body).status_code == 201
    items = http.get("/schedules/nightly/next?count=3").json()["items"]
    assert len(items) == 3
    assert all("T03:00:00+0" in item["local"] for item in items)
    changed = http.patch("/schedules/nightly", json={"cron": "30 4 * * *", "version": 1}).json()
    assert (changed["cron"], changed["timezone"], changed["version"]) == (
        "30 4 * * *", "Europe/Berlin", 2,
    )  # fmt: skip
    stale = http.patch("/schedules/nightly", json={"overlap": "skip", "version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "schedule_changed")
    run = http.post("/schedules/nightly/run", headers={"Idempotency-Key": "k"}).json()
    again = http.post("/schedules/nightly/run", headers={"Idempotency-Key": "k"}).json()
    assert run["id"] == again["id"]
    assert awaited(lambda: fired(http, "/schedules/nightly"))[0]["id"] == run["id"]


def test_an_interval_is_counted_from_its_new_start(http: httpx.Client) -> None:
    http.post("/schedules", json={"name": "counted", "every": "1h", "job": SQL})
    start = "2040-01-01T00:17:00.000Z"
    assert http.patch("/schedules/counted", json={"start": start}).json()["next_due"] == start
    free = http.patch("/schedules/counted", json={"start": None}).json()
    assert free["start"] is None
    assert free["next_due"] < start, "what has not begun is counted from now"
    same = http.patch("/schedules/counted", json={"start": None}).json()
    assert same["next_due"] == free["next_due"], "what goes on keeps its times"


@pytest.mark.parametrize(
    "body",
    [
        {"every": "1000000d"},
        {"every": "99999999999d"},
        {"cron": "@daily", "start": "9999-12-31T23:59:59-12:00"},
        {"cron": "@daily", "end": "0001-01-01T00:00:00+12:00"},
        {"at": "9999-12-31T23:59:59Z", "jitter": "1h"},
    ],
)
def test_no_moment_is_too_far_for_an_answer(http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.post("/schedules", json={"name": "far", "job": SQL, **body}).status_code == 400


@pytest.mark.parametrize("value", [r'"\ud800"', "NaN", "1e400"])
def test_a_value_that_no_row_holds_is_refused(http: httpx.Client, value: str) -> None:
    job = '{"kind": "statement", "sql": "SELECT :a", "parameters": {"a": ' + value + "}}"
    body = '{"name": "odd", "cron": "@daily", "job": ' + job + "}"
    answer = http.post("/schedules", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text


def test_a_pipeline_is_run_with_the_day(http: httpx.Client) -> None:
    node = {
        "kind": "statement",
        "sql": "SELECT :d AS d",
        "parameters": {"d": {"ref": "params.day"}},
    }
    plan = {"parameters": {"day": {"type": "date"}}, "nodes": {"one": node}}
    applied = http.put("/pipelines/daily", json=plan)
    assert applied.status_code in (200, 201), applied.text
    job = {"kind": "pipeline", "pipeline": "daily", "parameters": {"day": {"ref": "due_date"}}}
    made = http.post("/schedules", json={"name": "piped", "cron": "@daily", "job": job})
    assert made.status_code == 201, made.text
    http.post("/schedules/piped/run")
    run = awaited(lambda: fired(http, "/schedules/piped"))[0]["job"]
    found = awaited(lambda: (one := http.get(f"/jobs/{run}").json())["terminal"] and one)
    assert (found["kind"], found["state"]) == ("pipeline", "finished"), found
    assert found["labels"]["dli.schedule"] == "piped"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"cron": "61 * * * *"}, "minute"),
        ({"cron": "* * * * *", "every": "5s"}, "one of cron, every and at"),
        ({}, "one of cron, every and at"),
        ({"at": "2020-01-01T00:00:00Z"}, "never due"),
        ({"cron": "0 0 30 2 *"}, "never due"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "time zone"),
        ({"every": "1h", "timezone": "Europe/Berlin"}, "an interval goes by no clocks"),
        ({"cron": "@daily", "job": {"kind": "statement"}}, "sql"),
        ({"cron": "@daily", "job": {"kind": "dance"}}, "kind"),
        ({"cron": "@daily", "job": {**SQL, "sql": {"ref": "due_at"}}}, "reference"),
        ({"cron": "@daily", "job": {**SQL, "parameters": {"day": {"ref": "du_date"}}}}, "du_date"),
        ({"cron": "@daily", "job": {**SQL, "lease": {"ttl": "1m"}}}, "lease"),
        ({"cron": "@daily", "name": "No Name"}, "No Name"),
        ({"cron": "@daily", "jitter": "2h"}, "jitter"),
        ({"cron": "@daily", "missed": "some"}, "missed"),
    ],
)
def test_a_wrong_schedule_is_explained(
    http: httpx.Client, changes: dict[str, Any], word: str
) -> None:
    answer = http.post("/schedules", json={"name": "wrong", "job": SQL, **changes})
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["detail"]


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ({"kind": "webhook"}, "on.type: is missing"),
        ({"type": "hook"}, "on.type: is none of object, "),
        ({"type": "object", "prefix": "relative"}, "relative"),
    ],
)
def test_a_wrong_trigger_is_explained(http: httpx.Client, on: dict[str, Any], message: str) -> None:
    answer = http.post("/triggers", json={"name": "wrong", "on": on, "job": SQL})
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["schedules", "triggers", "pipelines"])
def test_an_uploaded_program_must_be_there(http: httpx.Client, kind: str) -> None:
    content = f"print('{kind}')".encode()
    sha256 = hashlib.sha256(content).hexdigest()
    job = {"kind": "batch", "program": {"name": "app.py", "sha256": sha256}}
    kinds: dict[str, dict[str, Any]] = {
        "schedules": {"cron": "0 3 * * *", "job": job},
        "triggers": {"on": {"type": "webhook"}, "job": job},
        "pipelines": {"nodes": {"load": job}},
    }
    more = kinds[kind]

    def ask() -> httpx.Response:
        if kind == "pipelines":
            return http.put("/pipelines/own", json=more)
        return http.post(f"/{kind}", json={"name": "own", **more})

    refused = ask()
    assert refused.status_code == 400, refused.text
    assert f"program: no file {sha256[:12]}" in refused.text
    assert "POST /api/v1/files" in refused.text
    assert http.post("/files", content=content).json()["sha256"] == sha256
    assert ask().is_success
    assert http.delete(f"/{kind}/own").status_code == 204


def test_a_changed_schedule_names_what_is_there(http: httpx.Client) -> None:
    assert http.post("/schedules", json={"name": "kept", "cron": "@daily", "job": SQL}).is_success
    missing = {"kind": "batch", "program": {"name": "app.py", "sha256": "ab" * 32}}
    refused = http.patch("/schedules/kept", json={"job": missing})
    assert (refused.status_code, refused.json()["field"]) == (400, "program")
    assert http.get("/schedules/kept").json()["job"] == SQL
    assert http.delete("/schedules/kept").status_code == 204


def test_an_object_that_appears_is_read(service: Service, http: httpx.Client) -> None:
    folder = service.home / "landing"
    folder.mkdir()
    (folder / "old.csv").write_text("a\n1\n")
    job = {
        "kind": "statement",
        "sql": "SELECT :uri AS uri",
        "parameters": {"uri": {"ref": "object_uri"}},
    }
    on = {"type": "object", "prefix": str(folder), "every": "5s"}
    made = http.post("/triggers", json={"name": "landing", "on": on, "job": job})
    assert made.status_code == 201, made.text
    awaited(lambda: http.get("/triggers/landing").json()["polled_at"])
    (folder / "new.csv").write_text("a\n2\n")
    firing = awaited(lambda: fired(http, "/triggers/landing"))[0]
    job_id = firing["job"]
    found = awaited(lambda: (one := http.get(f"/jobs/{job_id}").json())["terminal"] and one)
    assert found["result"]["inline"] == [[f"file://{folder}/new.csv"]]
    refused = http.post(
        "/triggers", json={"name": "etc", "on": {**on, "prefix": "/etc"}, "job": job}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "location_forbidden")


def test_a_signed_request_is_one_job(service: Service, http: httpx.Client) -> None:
    job = {
        "kind": "statement",
        "sql": "SELECT :who AS who",
        "parameters": {"who": {"ref": "payload.user.name"}},
    }
    body = {"name": "hook", "on": {"type": "webhook"}, "job": job}
    made = http.post("/triggers", json=body, headers={"Idempotency-Key": "hook"}).json()
    again = http.post("/triggers", json=body, headers={"Idempotency-Key": "hook"}).json()
    assert again["secret"] is None
    assert "secret" not in http.get("/triggers/hook").json()
    payload = json.dumps({"user": {"name": "it's; DROP TABLE x --"}}).encode()
    now = int(datetime.now(UTC).timestamp())

    def call(**changes: Any) -> httpx.Response:
        how = {
            "timestamp": now,
            "delivery": "d-1",
            "body": payload,
            "secret": made["secret"],
        } | changes
        signature = signature_of(
            how["secret"], timestamp=how["timestamp"], delivery=how["delivery"], body=payload
        )
        headers = {
            TIMESTAMP: str(how["timestamp"]),
            DELIVERY: how["delivery"],
            SIGNATURE: signature,
        }
        return httpx.post(service.url + made["hook"], content=how["body"], headers=headers)

    first = call()
    assert first.status_code == 202, first.text
    assert call().json()["firing"] == first.json()["firing"]
    firing = awaited(lambda: fired(http, "/triggers/hook"))[0]
    found = awaited(lambda: (one := http.get(f"/jobs/{firing['job']}").json())["terminal"] and one)
    assert found["result"]["inline"] == [["it's; DROP TABLE x --"]]
    for wrong in (
        {"timestamp": now - 301},
        {"timestamp": now + 302},
        {"secret": "whs_other"},
        {"body": payload + b" "},
        {"delivery": "a b"},
    ):
        answer = call(**wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid"), wrong
    other = httpx.post(f"{service.url}/api/v1/hooks/trg_unknown", content=payload)
    assert (other.status_code, other.json()["code"]) == (401, "signature_invalid")
    large = httpx.post(service.url + made["hook"], content=b"x" * 70_000)
    assert large.status_code == 413


def test_the_end_of_a_job_pulls_a_trigger_and_is_notified(
    http: httpx.Client, listener: Target
) -> None:
    on = {"type": "job", "states": ["finished"], "labels": {"step": "one"}}
    job = {
        "kind": "statement",
        "sql": "SELECT :job AS job",
        "parameters": {"job": {"ref": "job_id"}},
    }
    assert http.post("/triggers", json={"name": "after", "on": on, "job": job}).status_code == 201
    hook = {
        "name": "news",
        "url": listener.url + "/x",
        "events": ["job.finished"],
        "labels": {"step": "one"},
    }
    secret = http.post("/webhooks", json=hook).json()["secret"]
    ran = http.post(
        "/statements", json={"sql": "SELECT 1 AS one", "labels": {"step": "one"}}
    ).json()
    firing = awaited(lambda: fired(http, "/triggers/after"))[0]
    found = awaited(lambda: (one := http.get(f"/jobs/{firing['job']}").json())["terminal"] and one)
    assert found["result"]["inline"] == [[ran["id"]]]
    got = awaited(lambda: listener.received)[0]
    told = json.loads(got.body)
    assert (told["event"], told["job"]["id"]) == ("job.finished", ran["id"])
    assert "SELECT" not in got.body.decode()
    check_signature(
        secret,
        timestamp=got.headers[TIMESTAMP],
        delivery=got.headers[DELIVERY],
        signature=got.headers[SIGNATURE],
        body=got.body,
        now=datetime.now(UTC),
    )
    page = awaited(
        lambda: [
            item
            for item in http.get("/webhooks/news/deliveries").json()["items"]
            if item["state"] == "delivered"
        ]
    )
    assert [item["job"] for item in page] == [ran["id"]]
    test = http.post("/webhooks/news/test").json()
    assert test["event"] == "test"
    assert awaited(lambda: listener.received[1:])
    assert http.delete("/webhooks/news").status_code == 204


def test_private_targets_are_refused_unless_allowed(tmp_path: Path) -> None:
    with in_process(tmp_path / "home") as closed, closed.client() as http:
        for url in ("http://127.0.0.1/x", "http://localhost:9/", "http://169.254.169.254/meta"):
            answer = http.post("/webhooks", json={"name": "inner", "url": url})
            assert (answer.status_code, answer.json()["code"]) == (422, "webhook_target_forbidden")


def test_another_author_needs_rights_at_the_time(http: httpx.Client, service: Service) -> None:
    body = {"name": "short", "role": "writer", "user": "short@here"}
    token = http.post("/tokens", json=body).json()["token"]
    at = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    with service.client(token) as theirs:
        made = theirs.post("/schedules", json={"name": "theirs", "at": at, "job": SQL})
        assert made.status_code == 201, made.text
    http.delete("/projects/default/members/short@here")
    failed = awaited(
        lambda: [
            item
            for item in http.get("/schedules/theirs/firings").json()["items"]
            if item["state"] == "failed"
        ]
    )
    assert failed[0]["error"]["code"] == "author_has_no_rights"
