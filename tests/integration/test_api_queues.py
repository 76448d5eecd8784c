"""Queues over HTTP: what they are told to be, who waits in them and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.replicas import ENDLESS
from tests.support.service import Service, in_process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with in_process(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def _submit(client: httpx.Client, queue: str, sql: str = "SELECT 1", **more: Any) -> dict[str, Any]:
    body = {"sql": sql, "queue": queue, "wait": "0s", **more}
    answer = client.post("/statements", json=body)
    assert answer.status_code in (200, 202), answer.text
    found: dict[str, Any] = answer.json()
    return found


def _job(client: httpx.Client, job: dict[str, Any], wait: str = "0s") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/statements/{job['id']}", params={"wait": wait}).json()
    return found


def _ended(client: httpx.Client, job: dict[str, Any]) -> str:
    for _ in range(20):
        found = _job(client, job, wait="5s")
        if found["terminal"]:
            return str(found["state"])
    raise AssertionError(f"it is {found['state']} still: {found['wait']}")


def test_every_limit_is_kept_and_told(admin: httpx.Client) -> None:
    wanted = {
        "kinds": ["batch", "statement"],
        "engines": ["sail"],
        "conf_allowed": ["spark.sql.*"],
        "max_running_per_user": 2,
        "min_cu": 0,
        "max_cu": 8,
        "min_priority": -2,
        "max_priority": 5,
        "default_priority": 1,
        "timeout": "10m",
        "max_timeout": "6h",
        "overcommit": 150,
        "weight": 3,
        "monthly_budget": "12.500000000",
    }
    made = admin.post("/queues", json={"name": "all", **wanted})
    assert made.status_code == 201, made.text
    told = admin.get("/queues/all").json()
    assert {name: told[name] for name in wanted} == wanted
    assert told["state"] == "open"
    assert told["load"] == {"running": 0, "waiting": 0, "cu": 0.0, "users": []}
    lifted = admin.patch("/queues/all", json={"max_running_per_user": None, "max_timeout": None})
    assert lifted.json()["max_running_per_user"] is None
    assert lifted.json()["max_timeout"] == "10m"


def test_a_projects_admin_sets_no_weight(admin: httpx.Client, service: Service) -> None:
    admin.post("/projects", json={"name": "heavy"})
    there = {"DLI-Project": "heavy"}
    made = admin.post("/tokens", json={"name": "h", "user": "ann", "role": "admin"}, headers=there)
    with service.client(made.json()["token"]) as own:
        assert own.post("/queues", json={"name": "q", "max_running": 2}).status_code == 201
        refused = own.patch("/queues/q", json={"weight": 9})
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")


def test_users_have_weights_by_their_names(admin: httpx.Client) -> None:
    for user in ("ann", "bob"):
        made = admin.post("/tokens", json={"name": user, "user": user, "role": "reader"})
        assert made.status_code == 201, made.text
    weights = {"ann": 3, "bob": 1}
    made = admin.post("/queues", json={"name": "shared", "user_weights": weights})
    assert made.json()["user_weights"] == {"ann": 3}, "1 is what everybody has"
    changed = admin.patch("/queues/shared", json={"user_weights": {"bob": 2}})
    assert changed.json()["user_weights"] == {"bob": 2}
    named = {queue["name"]: queue["user_weights"] for queue in admin.get("/queues").json()["items"]}
    assert (named["shared"], named["default"]) == ({"bob": 2}, {})


def test_the_load_tells_names_and_weights(admin: httpx.Client) -> None:
    admin.post("/queues", json={"name": "loaded", "user_weights": {"admin": 4}})
    job = _submit(admin, "loaded", ENDLESS)
    (user,) = admin.get("/queues/loaded").json()["load"]["users"]
    told = (user["name"], user["weight"], user["running"] + user["waiting"])
    assert told == ("admin", 4, 1)
    admin.post(f"/statements/{job['id']}/cancel")


@pytest.mark.parametrize(
    ("weights", "status", "code"),
    [
        ({"nobody": 2}, 404, "member_not_found"),
        ({"admin": 0}, 400, "queue_invalid"),
        ({"admin": 1001}, 400, "queue_invalid"),
        ({"admin": "much"}, 400, "invalid_request"),
    ],
)
def test_a_weight_that_nobody_can_have_is_refused(
    admin: httpx.Client, weights: dict[str, Any], status: int, code: str
) -> None:
    refused = admin.patch("/queues/default", json={"user_weights": weights})
    assert (refused.status_code, refused.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("limits", "asked", "field"),
    [
        ({"kinds": ["task"]}, {}, "kind"),
        ({"engines": ["sail"]}, {"engine": "spark"}, "engine"),
        ({"max_priority": 2}, {"priority": 3}, "priority"),
    ],
)
def test_what_a_queue_never_takes_is_refused(
    admin: httpx.Client, limits: dict[str, Any], asked: dict[str, Any], field: str
) -> None:
    admin.post("/queues", json={"name": f"no-{field}", **limits})
    body = {"sql": "SELECT 1", "queue": f"no-{field}", **asked}
    refused = admin.post("/statements", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "queue_refuses")
    assert refused.json()["field"] == field


def test_who_waits_is_told_why_and_what_would_help(admin: httpx.Client) -> None:
    admin.post("/queues", json={"name": "narrow", "max_running": 1, "max_waiting": 2})
    first = _submit(admin, "narrow", ENDLESS)
    second, third = _submit(admin, "narrow"), _submit(admin, "narrow", priority=5)
    waits = [_job(admin, job)["wait"] for job in (third, second)]
    assert [wait["reason"] for wait in waits] == ["queue_full"] * 2
    assert [wait["position"] for wait in waits] == [1, 2]
    assert {"change": "queue", "value": "default", "detail": "in queue default", "price": None} in (
        waits[0]["options"]
    )
    full = admin.post("/statements", json={"sql": "SELECT 1", "queue": "narrow"})
    assert (full.status_code, full.json()["code"]) == (429, "queue_full")
    assert int(full.headers["Retry-After"]) >= 1
    load = admin.get("/queues/narrow").json()["load"]
    assert (load["running"], load["waiting"]) == (1, 2)
    assert [each["running"] for each in load["users"]] == [1]
    story = admin.get(f"/jobs/{second['id']}/explain").json()["story"]
    assert any("in queue default" in line for line in story)
    admin.post(f"/statements/{first['id']}/cancel")
    assert (_ended(admin, third), _ended(admin, second)) == ("finished", "finished")
    ends = [_job(admin, job)["started_at"] for job in (third, second)]
    assert ends == sorted(ends), "by priority"


def test_draining_lets_those_who_wait_start_and_closing_keeps_them(admin: httpx.Client) -> None:
    admin.post("/queues", json={"name": "shut", "max_running": 1})
    first, second, third = (_submit(admin, "shut", sql) for sql in (ENDLESS, "SELECT 2", ENDLESS))
    admin.patch("/queues/shut", json={"state": "draining"})
    refused = admin.post("/statements", json={"sql": "SELECT 1", "queue": "shut"})
    assert (refused.status_code, refused.json()["code"]) == (409, "queue_closed")
    admin.post(f"/statements/{first['id']}/cancel")
    assert _ended(admin, second) == "finished"
    admin.patch("/queues/shut", json={"state": "open"})
    fourth = _submit(admin, "shut")
    admin.patch("/queues/shut", json={"state": "closed"})
    admin.post(f"/statements/{third['id']}/cancel")
    assert _ended(admin, third) == "cancelled"
    wait = _job(admin, fourth, wait="1s")["wait"]
    assert (wait["reason"], wait["starts_at"]) == ("queue_closed", None)
    admin.patch("/queues/shut", json={"state": "open"})
    assert _ended(admin, fourth) == "finished"


def test_a_limit_that_is_lowered_loses_nobody(admin: httpx.Client) -> None:
    admin.post("/queues", json={"name": "less", "max_running": 2})
    running = [_submit(admin, "less", ENDLESS) for _ in range(2)]
    waiting = _submit(admin, "less")
    admin.patch("/queues/less", json={"max_running": 1, "max_waiting": 0})
    admin.post(f"/statements/{running[0]['id']}/cancel")
    assert _ended(admin, running[0]) == "cancelled"
    assert _job(admin, waiting)["wait"]["reason"] == "queue_full"
    admin.post(f"/statements/{running[1]['id']}/cancel")
    assert _ended(admin, waiting) == "finished"


def test_a_token_that_hurries_is_told_to_wait(tmp_path: Path) -> None:
    with (
        in_process(tmp_path, rate_limit=1, rate_burst=5) as service,
        service.client() as client,
    ):
        answers = [client.get("/queues") for _ in range(10)]
        codes = [answer.status_code for answer in answers]
        assert codes[:5] == [200] * 5
        assert codes[-1] == 429
        assert answers[-1].json()["code"] == "rate_limited"
        assert int(answers[-1].headers["Retry-After"]) >= 1


def test_what_ran_before_can_be_read(admin: httpx.Client) -> None:
    for value in (1, 2):
        job = _submit(admin, "default", f"SELECT {value} AS ran_before")
        assert _ended(admin, job) == "finished"
    (seen,) = admin.get(f"/jobs/{job['id']}/explain").json()["past"]
    assert (seen["outcome"], seen["attempt"]) == ("finished", 1)
    assert seen["seconds"] > 0
    assert seen["job"] != job["id"], "one a minute is noted"


def test_the_one_cluster_is_told_and_cannot_be_drained(admin: httpx.Client) -> None:
    [told] = admin.get("/clusters").json()["items"]
    assert (told["name"], told["answers"], told["drained"]) == ("default", True, False)
    assert told["capacity"]["cores"] >= 1
    assert admin.get("/clusters/default").json()["name"] == "default"
    refused = admin.patch("/clusters/default", json={"drained": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "cluster_alone")
    assert admin.patch("/clusters/default", json={"drained": False}).status_code == 200
    missing = admin.patch("/clusters/mars", json={"drained": True})
    assert (missing.status_code, missing.json()["code"]) == (404, "cluster_not_found")
    bad = admin.patch("/clusters/default", json={"drained": "now and then"})
    assert (bad.status_code, "drained" in bad.text) == (400, True)


def test_a_queue_names_clusters_that_there_are(admin: httpx.Client, service: Service) -> None:
    pods = {"clusters": {"default": 3}}
    made = admin.post("/queues", json={"name": "placed", "pods": pods})
    assert made.status_code == 201, made.text
    assert admin.get("/queues/placed").json()["pods"]["clusters"] == {"default": 3}
    unknown = admin.patch("/queues/placed", json={"pods": {"clusters": {"mars": 1}}})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "cluster_not_found")
    heavy = admin.patch("/queues/placed", json={"pods": {"clusters": {"default": 1001}}})
    assert (heavy.status_code, heavy.json()["code"]) == (400, "queue_pods_invalid")
    assert heavy.json()["field"] == "pods.clusters.default"
    admin.post("/projects", json={"name": "placing"})
    there = {"DLI-Project": "placing"}
    made = admin.post("/tokens", json={"name": "p", "user": "pat", "role": "admin"}, headers=there)
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    with httpx.Client(base_url=admin.base_url, headers=headers) as project_admin:
        refused = project_admin.patch("/queues/default", json={"pods": pods})
        assert refused.status_code == 403
