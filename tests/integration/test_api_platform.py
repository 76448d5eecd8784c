"""Projects, tokens, queues, prices, budgets and the form of answers, over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.service import Service, in_process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    with in_process(home, max_body="64KiB", metrics_token="m" * 24) as running:
        yield running


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def test_a_new_project_is_ready_to_use(service: Service, admin: httpx.Client) -> None:
    made = admin.post("/projects", json={"name": "ready", "description": "ours"})
    assert (made.status_code, made.json()["id"]) == (201, "ready")
    with service.client(**{"DLI-Project": "ready"}) as inside:
        assert [one["name"] for one in inside.get("/queues").json()["items"]] == ["default"]
        assert [one["name"] for one in inside.get("/databases").json()["items"]] == ["default"]
    again = admin.post("/projects", json={"name": "ready"})
    assert (again.status_code, again.json()["code"]) == (409, "project_exists")


def test_a_token_works_until_it_is_revoked(service: Service, admin: httpx.Client) -> None:
    made = admin.post("/tokens", json={"name": "ci", "user": "robot", "role": "writer"}).json()
    assert made["token"].startswith("dli_")
    assert (made["user"], made["project"], made["role"]) == ("robot", "default", "writer")
    with service.client(made["token"]) as robot:
        assert robot.get("/tokens").json()["items"] == [
            {name: value for name, value in made.items() if name != "token"}
        ]
        assert admin.delete(f"/tokens/{made['id']}").status_code == 204
        assert robot.get("/tokens").json()["code"] == "token_invalid"


def test_nobody_gives_more_than_they_have(service: Service, admin: httpx.Client) -> None:
    reader = admin.post("/tokens", json={"name": "r", "user": "eve", "role": "reader"}).json()
    with service.client(reader["token"]) as eve:
        assert eve.post("/tokens", json={"name": "x", "role": "admin"}).status_code == 403
        assert eve.post("/tokens", json={"name": "x", "user": "admin"}).status_code == 403
        mine = eve.post("/tokens", json={"name": "x", "expires_in": "1h"})
        assert mine.status_code == 201
        assert mine.json()["expires_at"] is not None
        assert eve.delete(f"/tokens/{mine.json()['id']}").status_code == 204


def test_a_member_who_is_removed_is_out(service: Service, admin: httpx.Client) -> None:
    token = admin.post("/tokens", json={"name": "t", "user": "bob", "role": "reader"}).json()
    admin.put("/projects/default/members/bob", json={"role": "writer"})
    members = admin.get("/projects/default/members").json()["items"]
    assert {"user": "bob", "role": "writer"} in members
    assert admin.delete("/projects/default/members/bob").status_code == 204
    with service.client(token["token"]) as bob:
        assert bob.get("/queues").json()["code"] == "project_not_found"


def test_a_repeated_post_is_done_once(admin: httpx.Client) -> None:
    headers = {"Idempotency-Key": "queue-1"}
    first = admin.post("/queues", json={"name": "once"}, headers=headers)
    again = admin.post("/queues", json={"name": "once"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = admin.post("/queues", json={"name": "twice"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_failed_post_leaves_its_key_free(admin: httpx.Client) -> None:
    headers = {"Idempotency-Key": "queue-2"}
    refused = admin.post("/queues", json={"name": "Wrong"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "queue_invalid")
    assert admin.post("/queues", json={"name": "right"}, headers=headers).status_code == 201


def test_many_repeats_at_once_make_one_thing(service: Service) -> None:
    statuses: list[int] = []

    def create() -> None:
        with service.client() as client:
            answer = client.post(
                "/tokens", json={"name": "race"}, headers={"Idempotency-Key": "race"}
            )
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {201, 409}
    with service.client() as client:
        named = [one for one in client.get("/tokens").json()["items"] if one["name"] == "race"]
    assert len(named) == 1


def test_a_repeat_does_not_show_the_secret_again(admin: httpx.Client) -> None:
    headers = {"Idempotency-Key": "token-1"}
    first = admin.post("/tokens", json={"name": "s"}, headers=headers).json()
    again = admin.post("/tokens", json={"name": "s"}, headers=headers).json()
    assert first["token"]
    assert again == {**first, "token": None}


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_a_length(admin: httpx.Client, key: str) -> None:
    answer = admin.post("/queues", json={"name": "k"}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_queue_is_changed_field_by_field(admin: httpx.Client) -> None:
    admin.post("/queues", json={"name": "tuned", "max_cost": "0.5", "timeout": "90s"})
    changed = admin.patch("/queues/tuned", json={"max_running": 2}).json()
    assert (changed["max_running"], changed["timeout"], changed["version"]) == (2, "90s", 2)
    assert changed["max_cost"] == "0.500000000"
    lifted = admin.patch("/queues/tuned", json={"max_cost": None}).json()
    assert (lifted["max_cost"], lifted["max_running"]) == (None, 2)
    stale = admin.patch("/queues/tuned", json={"max_running": 9, "version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "queue_changed")
    assert admin.delete("/queues/tuned").status_code == 204
    assert admin.get("/queues/tuned").status_code == 404


def test_a_near_queue_is_suggested(admin: httpx.Client) -> None:
    told = admin.get("/queues/defualt").json()
    assert told["code"] == "queue_not_found"
    assert "default" in told["hint"]


def test_prices_say_what_is_in_force(admin: httpx.Client) -> None:
    body = admin.get("/prices").json()
    assert body["currency"] == "USD"
    assert body["items"] == [
        {
            "meter": "scan.bytes", "class": "standard", "price": "5.000000000",
            "currency": "USD", "per": 2**40, "unit": "B", "minimum": 0,
            "effective_from": "2026-01-01T00:00:00.000Z", "in_force": True,
        }
    ]  # fmt: skip
    before = admin.get("/prices", params={"at": "2025-12-31T23:00:00Z"}).json()
    assert before["items"][0]["in_force"] is False


def test_a_budget_is_set_and_lifted(admin: httpx.Client) -> None:
    assert admin.get("/budget").json()["cap"] is None
    set_ = admin.put("/budget", json={"amount": "12.5"}).json()
    assert (set_["cap"], set_["left"], set_["spent"]) == (
        "12.500000000", "12.500000000", "0.000000000",
    )  # fmt: skip
    month = admin.put("/budget", json={"amount": "1", "month": "2031-02"}).json()
    assert (month["month"], month["cap"]) == ("2031-02", "1.000000000")
    assert admin.put("/budget", json={"amount": None}).json()["cap"] is None
    for body in ({"amount": "1", "month": "2031-13"}, {"amount": 1}, {}):
        assert admin.put("/budget", json=body).status_code == 400


def test_usage_says_what_it_cannot_group_by(admin: httpx.Client) -> None:
    told = admin.get("/usage", params={"group_by": "day,colour"}).json()
    assert told["code"] == "invalid_grouping"
    assert "label:NAME" in told["hint"]
    assert admin.get("/usage", params={"from": "x"}).status_code == 400
    reverse = {"from": "2026-02-01", "to": "2026-01-01"}
    assert admin.get("/usage", params=reverse).status_code == 400


def test_a_body_over_the_limit_is_refused(service: Service, admin: httpx.Client) -> None:
    told = admin.post("/databases", json={"name": "x" * 70_000})
    assert (told.status_code, told.json()["code"]) == (413, "body_too_large")

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 8192

    told = admin.post("/databases", content=pieces())
    assert (told.status_code, told.json()["code"]) == (413, "body_too_large")
    assert admin.get("/databases").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "path_not_found"),
        ("DELETE", "/prices", 405, "method_not_allowed"),
        ("GET", "/databases/", 404, "path_not_found"),
        ("GET", "/statements?cursor=%21", 400, "invalid_cursor"),
        ("GET", "/statements?limit=0", 400, "invalid_request"),
        ("GET", "/statements?state=dreaming", 400, "invalid_request"),
        ("GET", "/statements?label=x", 400, "invalid_request"),
    ],
)
def test_every_refusal_is_a_problem(
    admin: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = admin.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_a_near_field_is_suggested(admin: httpx.Client) -> None:
    told = admin.post("/statements", json={"sql": "SELECT 1", "result": {"tttl": "1h"}}).json()
    assert (told["detail"], told["hint"]) == (
        "result.tttl: is not a known field", "did you mean 'ttl'?",
    )  # fmt: skip
    told = admin.post("/statements", json={"sq": "SELECT 1"}).json()
    assert [one["field"] for one in told["errors"]] == ["sql", "sq"]


def test_requests_have_ids(admin: httpx.Client) -> None:
    given = admin.get("/queues", headers={"X-Request-Id": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    bad = admin.get("/queues", headers={"X-Request-Id": "no spaces\tplease"})
    made = bad.headers["x-request-id"]
    assert len(made) == 16
    assert admin.get("/queues").headers["x-request-id"] != made


def test_the_metrics_token_opens_metrics_alone(service: Service) -> None:
    headers = {"Authorization": "Bearer " + "m" * 24}
    assert httpx.get(f"{service.url}/metrics", headers=headers).status_code == 200
    assert httpx.get(f"{service.url}/api/v1/queues", headers=headers).status_code == 401


def test_readiness_names_its_parts(service: Service) -> None:
    body = httpx.get(f"{service.url}/readyz").json()
    assert body == {"status": "ready", "database": "ok", "work": "ok"}


def test_the_default_database_is_not_dropped(admin: httpx.Client) -> None:
    told = admin.delete("/databases/default", params={"cascade": True})
    assert (told.status_code, told.json()["code"]) == (409, "default_database")


def test_nothing_of_the_service_can_be_registered(service: Service, admin: httpx.Client) -> None:
    data = service.home / "data"
    data.mkdir()
    (data / "numbers.csv").write_text("n\n1\n")
    (service.home / "plain.csv").write_text("n\n2\n")
    inside = [path for path in service.home.iterdir() if path.name not in ("data", "plain.csv")]
    assert {"token", "meta.db", "engines", "replica", "lock", "url"} <= {one.name for one in inside}
    for path in inside:
        body = {"name": "leak", "location": str(path), "format": "csv"}
        told = admin.post("/databases/default/tables", json=body)
        assert told.status_code in (400, 403, 404), path
    everything = {"name": "all", "location": f"{service.home}/*", "format": "csv"}
    told = admin.post("/databases/default/tables", json=everything)
    assert told.status_code in (400, 403), told.text
    fine = {
        "name": "numbers",
        "location": str(data),
        "format": "csv",
        "options": {"header": "true"},
    }
    assert admin.post("/databases/default/tables", json=fine).status_code == 201


def test_a_second_service_on_the_home_is_refused(service: Service) -> None:
    with pytest.raises(Exception, match="another service"), in_process(service.home):
        raise AssertionError("two services on one home")


def test_a_table_is_told_in_full(service: Service, admin: httpx.Client, tmp_path: Path) -> None:
    columns = [{"name": "id", "type": "bigint"}, {"name": "price", "type": "decimal(10,2)"}]
    made = admin.post("/databases/default/tables", json={"name": "managed", "columns": columns})
    assert (made.status_code, made.json()["kind"]) == (201, "managed")
    told = admin.get("/databases/default/tables/managed").json()
    assert [column["type"] for column in told["columns"]] == ["bigint", "decimal(10,2)"]
    assert told["statistics"]["files"] == 0
    assert told["snapshots"][0]["operation"] == "create"
    outside = {"name": "o", "location": str(tmp_path)}
    refused = admin.post("/databases/default/tables", json=outside)
    assert (refused.status_code, refused.json()["code"]) == (403, "location_forbidden")
    assert admin.delete("/databases/default/tables/managed").status_code == 204
    missing = admin.get("/databases/default/tables/managed").json()
    assert missing["code"] == "table_missing"


SALES = {"secret": {"name": "sales-s3", "access_key": "id"}, "service_account": "sales"}


@pytest.fixture
def sales(service: Service, admin: httpx.Client) -> Iterator[httpx.Client]:
    """The first administrator in a project of its own."""
    admin.post("/projects", json={"name": "sales"})
    with service.client(**{"DLI-Project": "sales"}) as inside:
        yield inside
        inside.delete("/projects/sales/credentials")


def test_credentials_are_names_that_are_set_shown_and_removed(sales: httpx.Client) -> None:
    path = "/projects/sales/credentials"
    assert sales.get(path).json()["code"] == "credentials_not_found"
    made = sales.put(path, json=SALES)
    assert (made.status_code, made.json()) == (
        200,
        {
            "project": "sales",
            "secret": {"name": "sales-s3", "access_key": "id", "secret_key": "secret-key"},
            "service_account": "sales",
            "in_force": False,
        },
    )
    assert sales.get(path).json() == made.json()
    sales.put(path, json={"service_account": "other"})
    assert sales.get(path).json()["secret"] is None
    assert sales.delete(path).status_code == 204
    assert sales.delete(path).json()["code"] == "credentials_not_found"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "secret"),
        ({"secret": {"name": "Not A Name"}}, "secret.name"),
        ({"service_account": "a/b"}, "service_account"),
    ],
)
def test_credentials_of_a_bad_form_are_explained(
    sales: httpx.Client, body: dict[str, object], field: str
) -> None:
    refused = sales.put("/projects/sales/credentials", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "credentials_invalid")
    assert refused.json()["field"] == field


def test_a_value_among_credentials_is_refused_by_the_name_of_its_field(sales: httpx.Client) -> None:
    body = {"secret": {"name": "sales-s3", "value": "hidden"}}
    refused = sales.put("/projects/sales/credentials", json=body)
    assert refused.status_code == 400
    assert "value" in refused.text
    assert "hidden" not in refused.text


def test_credentials_are_for_administrators_and_shown_to_admins_of_the_project(
    service: Service, admin: httpx.Client, sales: httpx.Client
) -> None:
    path = "/projects/sales/credentials"
    sales.put(path, json=SALES)
    body = {"name": "c", "user": "sally", "role": "admin"}
    token = sales.post("/tokens", json=body).json()["token"]
    other = admin.post("/tokens", json={**body, "user": "otto"}).json()["token"]
    with service.client(token) as sally, service.client(other) as otto:
        assert sally.get(path).json()["service_account"] == "sales"
        assert sally.put(path, json=SALES).status_code == 403
        assert sally.delete(path).status_code == 403
        for answer in (otto.get(path), otto.put(path, json=SALES), otto.delete(path)):
            assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")
    for method in ("GET", "PUT", "DELETE"):
        assert httpx.request(method, f"{service.url}/api/v1{path}").status_code == 401


def test_credentials_are_named_by_command(service: Service, sales: httpx.Client) -> None:
    def dli(*words: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("dli")), "project", "credentials", *words],
            env={**os.environ, "DLI_URL": service.url, "DLI_TOKEN": service.token},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    told = dli("set", "sales", "--secret", "sales-s3", "--access-key", "id")
    assert "not in force" in told, "nothing runs in pods here"
    assert json.loads(dli("show", "sales", "--json"))["secret"]["access_key"] == "id"
    assert "sales-s3" in dli("show", "sales")
    dli("remove", "sales")
    assert sales.get("/projects/sales/credentials").status_code == 404
