"""Who may do what at each endpoint: the routes of the application are walked, none is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from dli.api.app import create_app
from dli.services import Services
from tests.support.service import Service, in_process

#: The last is signed instead.
PUBLIC = {("GET", "/healthz"), ("GET", "/readyz"), ("POST", "/api/v1/hooks/{trigger_id}")}
V1 = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What an endpoint needs: the least role, and a body whose form is right."""

    role: str = "reader"
    body: dict[str, Any] | None = None
    missing: bool = False  #: names a thing in its path, which another project does not have


S, D, Q, P, T = "/statements", "/databases", "/queues", "/projects", "/tokens"
ONE_S, ONE_T = f"{S}/{{statement_id}}", f"{D}/{{database}}/tables/{{table}}"
MEMBER = f"{P}/{{project}}/members/{{user}}"
BATCH = {"program": {"name": "app.py", "sha256": "ab" * 32}}
TABLE = {"name": "t", "columns": [{"name": "id", "type": "bigint"}]}
ONE_SCHEDULE = "/schedules/{schedule}"
SHOW = {"kind": "statement", "sql": "SHOW DATABASES"}
SCHEDULE = {"name": "fresh", "cron": "@yearly", "job": SHOW}
TRIGGER = {"name": "fresh", "on": {"type": "webhook"}, "job": SHOW}
WEBHOOK = {"name": "fresh", "url": "https://hooks.example.invalid/", "events": ["firing.failed"]}
PIPELINE = {"nodes": {"a": {"kind": "statement", "sql": "SHOW DATABASES"}}}
ONE_PIPELINE, ONE_RUN, ONE_BACKFILL = (
    "/pipelines/{pipeline}",
    "/runs/{run_id}",
    "/backfills/{backfill_id}",
)
DAYS = {"from": "2026-01-01", "to": "2026-01-01"}
RULES: dict[tuple[str, str], Rule] = {
    ("POST", S): Rule(body={"sql": "SHOW DATABASES"}),
    ("GET", S): Rule(),
    ("GET", ONE_S): Rule(missing=True),
    ("GET", f"{ONE_S}/result"): Rule(missing=True),
    ("DELETE", f"{ONE_S}/result"): Rule(role="writer", missing=True),  # the administrator's
    ("GET", f"{ONE_S}/bill"): Rule(missing=True),
    ("GET", f"{ONE_S}/events"): Rule(missing=True),
    ("POST", f"{ONE_S}/cancel"): Rule(role="writer", missing=True),  # the administrator's
    ("GET", "/jobs"): Rule(),
    ("GET", "/jobs/{job_id}"): Rule(missing=True),
    ("GET", "/jobs/{job_id}/logs"): Rule(missing=True),
    ("GET", "/jobs/{job_id}/events"): Rule(missing=True),
    ("GET", "/jobs/{job_id}/explain"): Rule(missing=True),
    ("GET", "/jobs/{job_id}/bill"): Rule(missing=True),
    ("POST", "/jobs/{job_id}/cancel"): Rule(role="writer", missing=True),  # the administrator's
    ("POST", "/jobs/{job_id}/renew"): Rule(role="writer", missing=True),  # the administrator's
    ("GET", "/schemas/job.json"): Rule(),
    ("POST", "/files"): Rule(role="writer"),
    ("POST", "/batches"): Rule(role="writer", body=BATCH),
    ("GET", "/batches/{job_id}/output"): Rule(missing=True),
    ("GET", "/history/{fingerprint}"): Rule(missing=True),
    ("PUT", "/history/{fingerprint}/size"): Rule(
        role="writer", body={"memory": "2GiB"}, missing=True
    ),
    ("DELETE", "/history/{fingerprint}/size"): Rule(role="writer", missing=True),
    ("POST", "/tasks"): Rule(role="writer", body={"command": ["cat"]}),
    ("GET", "/tasks/{job_id}/output"): Rule(missing=True),
    ("GET", D): Rule(),
    ("POST", D): Rule(role="writer", body={"name": "fresh"}),
    ("GET", f"{D}/{{database}}"): Rule(missing=True),
    ("DELETE", f"{D}/{{database}}"): Rule(role="writer", missing=True),
    ("GET", f"{D}/{{database}}/tables"): Rule(missing=True),
    ("POST", f"{D}/{{database}}/tables"): Rule(role="writer", body=TABLE, missing=True),
    ("GET", ONE_T): Rule(missing=True),
    ("DELETE", ONE_T): Rule(role="writer", missing=True),
    ("POST", f"{ONE_T}/refresh"): Rule(role="writer", missing=True),
    ("GET", Q): Rule(),
    ("POST", Q): Rule(role="admin", body={"name": "fresh"}),
    ("GET", f"{Q}/{{queue}}"): Rule(missing=True),
    ("PATCH", f"{Q}/{{queue}}"): Rule(role="admin", body={"max_running": 3}, missing=True),
    ("DELETE", f"{Q}/{{queue}}"): Rule(role="admin", missing=True),
    ("GET", f"{Q}/{{queue}}/canary"): Rule(missing=True),
    ("POST", f"{Q}/{{queue}}/canary"): Rule(
        role="administrator", body={"image": "dli:2"}, missing=True
    ),
    ("PATCH", f"{Q}/{{queue}}/canary"): Rule(
        role="administrator", body={"percent": 5}, missing=True
    ),
    ("POST", f"{Q}/{{queue}}/canary/promote"): Rule(role="administrator", missing=True),
    ("POST", f"{Q}/{{queue}}/canary/rollback"): Rule(role="administrator", missing=True),
    ("GET", f"{Q}/{{queue}}/canaries"): Rule(missing=True),
    ("GET", P): Rule(),
    ("POST", P): Rule(role="administrator", body={"name": "fresh"}),
    ("GET", f"{P}/{{project}}/members"): Rule(role="admin", missing=True),
    ("PUT", MEMBER): Rule(role="admin", body={"role": "reader"}, missing=True),
    ("DELETE", MEMBER): Rule(role="admin", missing=True),
    ("GET", f"{P}/{{project}}/credentials"): Rule(role="admin", missing=True),
    ("PUT", f"{P}/{{project}}/credentials"): Rule(
        role="administrator", body={"service_account": "sales"}, missing=True
    ),
    ("DELETE", f"{P}/{{project}}/credentials"): Rule(role="administrator", missing=True),
    ("GET", T): Rule(),
    ("POST", T): Rule(body={"name": "t"}),
    ("DELETE", f"{T}/{{token_id}}"): Rule(missing=True),
    ("GET", "/schedules"): Rule(),
    ("POST", "/schedules"): Rule(role="writer", body=SCHEDULE),
    ("GET", ONE_SCHEDULE): Rule(missing=True),
    ("PATCH", ONE_SCHEDULE): Rule(role="writer", body={"overlap": "skip"}, missing=True),
    ("DELETE", ONE_SCHEDULE): Rule(role="writer", missing=True),
    ("POST", f"{ONE_SCHEDULE}/pause"): Rule(role="writer", missing=True),
    ("POST", f"{ONE_SCHEDULE}/resume"): Rule(role="writer", missing=True),
    ("POST", f"{ONE_SCHEDULE}/run"): Rule(role="writer", missing=True),
    ("GET", f"{ONE_SCHEDULE}/next"): Rule(missing=True),
    ("GET", f"{ONE_SCHEDULE}/firings"): Rule(missing=True),
    ("GET", "/triggers"): Rule(),
    ("POST", "/triggers"): Rule(role="writer", body=TRIGGER),
    ("GET", "/triggers/{trigger}"): Rule(missing=True),
    ("DELETE", "/triggers/{trigger}"): Rule(role="writer", missing=True),
    ("POST", "/triggers/{trigger}/pause"): Rule(role="writer", missing=True),
    ("POST", "/triggers/{trigger}/resume"): Rule(role="writer", missing=True),
    ("GET", "/triggers/{trigger}/firings"): Rule(missing=True),
    ("GET", "/webhooks"): Rule(),
    ("POST", "/webhooks"): Rule(role="writer", body=WEBHOOK),
    ("GET", "/webhooks/{webhook}"): Rule(missing=True),
    ("DELETE", "/webhooks/{webhook}"): Rule(role="writer", missing=True),
    ("GET", "/webhooks/{webhook}/deliveries"): Rule(missing=True),
    ("POST", "/webhooks/{webhook}/test"): Rule(role="writer", missing=True),
    ("GET", "/schemas/pipeline.json"): Rule(),
    ("GET", "/pipelines"): Rule(),
    ("PUT", ONE_PIPELINE): Rule(role="writer", body=PIPELINE),
    ("GET", ONE_PIPELINE): Rule(missing=True),
    ("DELETE", ONE_PIPELINE): Rule(role="writer", missing=True),
    ("GET", f"{ONE_PIPELINE}/revisions"): Rule(missing=True),
    ("GET", f"{ONE_PIPELINE}/diff"): Rule(missing=True),
    ("POST", f"{ONE_PIPELINE}/diff"): Rule(body={"pipeline": PIPELINE}, missing=True),
    ("POST", f"{ONE_PIPELINE}/plan"): Rule(body={"parameters": {}}, missing=True),
    ("POST", f"{ONE_PIPELINE}/rollback"): Rule(role="writer", body={"revision": 1}, missing=True),
    ("GET", f"{ONE_PIPELINE}/runs"): Rule(missing=True),
    ("POST", f"{ONE_PIPELINE}/runs"): Rule(role="writer", body={"wait": "0s"}, missing=True),
    ("GET", f"{ONE_PIPELINE}/backfills"): Rule(missing=True),
    ("POST", f"{ONE_PIPELINE}/backfills"): Rule(role="writer", body=DAYS, missing=True),
    ("GET", ONE_RUN): Rule(missing=True),
    ("POST", f"{ONE_RUN}/resume"): Rule(role="writer", body={"wait": "0s"}, missing=True),
    ("GET", ONE_BACKFILL): Rule(missing=True),
    ("POST", f"{ONE_BACKFILL}/cancel"): Rule(role="writer", missing=True),
    ("POST", f"{ONE_BACKFILL}/resume"): Rule(role="writer", body={"max_cost": "1"}, missing=True),
    ("GET", "/clusters"): Rule(role="administrator"),
    ("GET", "/clusters/{cluster}"): Rule(role="administrator"),
    ("PATCH", "/clusters/{cluster}"): Rule(role="administrator", body={"drained": False}),
    ("GET", "/prices"): Rule(),
    ("GET", "/budget"): Rule(),
    ("PUT", "/budget"): Rule(role="admin", body={"amount": "5"}),
    ("GET", "/usage"): Rule(),
}
CASES = pytest.mark.parametrize(("method", "path"), RULES, ids=lambda part: part)
WITH_BODY = [key for key, rule in RULES.items() if rule.body is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A service with things in the project ``default``, and callers."""

    service: Service
    services: Services
    tokens: dict[str, str]
    names: dict[str, str]
    http: httpx.Client

    def ask(self, who: str | None, method: str, path: str, **how: Any) -> httpx.Response:
        """One request with the names of real things of ``default`` in its path."""
        headers = {} if who is None else {"Authorization": f"Bearer {self.tokens[who]}"}
        url = f"{self.service.url}{V1}{path.format(**self.names)}"
        return self.http.request(method, url, headers=headers, **how)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    with in_process(home) as service, service.client() as admin, httpx.Client(timeout=60) as http:
        assert service.services is not None
        tokens = {"administrator": service.token}
        assert admin.post("/projects", json={"name": "other"}).status_code == 201
        for role in ("reader", "writer", "admin"):
            body = {"name": role, "role": role, "user": f"{role}@here"}
            tokens[role] = admin.post("/tokens", json=body).json()["token"]
        made = admin.post(
            "/tokens",
            json={"name": "stranger", "role": "admin", "user": "stranger"},
            headers={"DLI-Project": "other"},
        )
        tokens["stranger"] = made.json()["token"]
        assert admin.post("/databases", json={"name": "sales"}).status_code == 201
        table = {**TABLE, "name": "orders"}
        assert admin.post("/databases/sales/tables", json=table).status_code == 201
        assert admin.post("/queues", json={"name": "mine"}).status_code == 201
        statement = admin.post("/statements", json={"sql": "SHOW DATABASES"}).json()
        for path, thing in (
            ("/schedules", SCHEDULE),
            ("/triggers", TRIGGER),
            ("/webhooks", WEBHOOK),
        ):
            assert admin.post(path, json={**thing, "name": "ours"}).status_code == 201
        text = {**PIPELINE, "parameters": {"day": {"type": "date", "default": "2026-01-01"}}}
        assert admin.put("/pipelines/ours", json=text).status_code == 200
        run = admin.post("/pipelines/ours/runs", json={"wait": "10s"}).json()
        backfill = admin.post("/pipelines/ours/backfills", json=DAYS).json()
        ran = admin.post("/statements", json={"sql": "SELECT 1 AS one", "wait": "30s"}).json()
        explained = admin.get(f"/jobs/{ran['id']}/explain").json()
        names = {
            "fingerprint": explained["fingerprint"],
            "pipeline": "ours",
            "run_id": run["id"],
            "backfill_id": backfill["id"],
            "schedule": "ours",
            "trigger": "ours",
            "webhook": "ours",
            "statement_id": statement["id"],
            "job_id": statement["id"],
            "database": "sales",
            "table": "orders",
            "queue": "mine",
            "cluster": "default",
            "project": "default",
            "user": "reader@here",
            "token_id": admin.get("/tokens").json()["items"][0]["id"],
        }
        yield World(
            service=service, services=service.services, tokens=tokens, names=names, http=http
        )


def routes(services: Services) -> set[tuple[str, str]]:
    """Method and path of every route that is described, and of none twice."""
    found: list[tuple[str, str]] = []
    for route in iter_route_contexts(create_app(services).routes):
        if route.include_in_schema and route.path is not None:
            found += [(method, route.path) for method in route.methods or ()]
    assert len(found) == len(set(found))
    return set(found)


def test_every_route_has_its_rule(world: World) -> None:
    ruled = {(method, V1 + path) for method, path in RULES}
    assert routes(world.services) == ruled | PUBLIC | {("GET", "/metrics")}


def test_every_route_is_described(world: World) -> None:
    described = httpx.get(f"{world.service.url}/openapi.json").json()
    for method, path in routes(world.services):
        operation = described["paths"][path][method.lower()]
        assert operation["description"], (method, path)
        assert operation["responses"], (method, path)


@CASES
def test_anonymous_is_refused(world: World, method: str, path: str) -> None:
    answer = world.ask(None, method, path, json=RULES[method, path].body)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@CASES
@pytest.mark.parametrize("header", ["Bearer dli_wrong", "Basic YTpi", "Bearer", "dli_x"])
def test_a_wrong_token_is_refused(world: World, method: str, path: str, header: str) -> None:
    url = f"{world.service.url}{V1}{path.format(**world.names)}"
    body = RULES[method, path].body
    answer = world.http.request(method, url, headers={"Authorization": header}, json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


@pytest.mark.parametrize(("method", "path"), [key for key, rule in RULES.items() if rule.missing])
def test_another_project_sees_nothing(world: World, method: str, path: str) -> None:
    answer = world.ask("stranger", method, path, json=RULES[method, path].body)
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", [S, "/jobs", D, T, P, "/schedules", "/triggers", "/webhooks"])
def test_another_projects_lists_have_nothing_of_ours(world: World, path: str) -> None:
    theirs = world.ask("stranger", "GET", path).text
    for name in (world.names["statement_id"], '"sales"', "reader@here", '"ours"'):
        assert name not in theirs


@CASES
def test_a_lesser_role_is_refused(world: World, method: str, path: str) -> None:
    order = ["reader", "writer", "admin", "administrator"]
    rule = RULES[method, path]
    for role in order[: order.index(rule.role)]:
        answer = world.ask(role, method, path, json=rule.body)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_an_unknown_field_is_refused_by_name(world: World, method: str, path: str) -> None:
    body = {**(RULES[method, path].body or {}), "surprise": 1}
    answer = world.ask("administrator", method, path, json=body)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (400, "invalid_request")
    assert told["detail"] == "surprise: is not a known field"


@CASES
def test_an_unknown_parameter_is_refused_by_name(world: World, method: str, path: str) -> None:
    answer = world.ask("administrator", method, f"{path}?surprise=1", json=RULES[method, path].body)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (400, "invalid_request")
    assert told["detail"] == "surprise: is not a known parameter"


def test_a_misspelt_parameter_is_told_with_a_near_one(world: World) -> None:
    told = world.ask("reader", "GET", "/jobs?stat=failed&queue=default").json()
    assert (told["detail"], told["hint"]) == (
        "stat: is not a known parameter", "did you mean 'state'?",
    )  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
@pytest.mark.parametrize("content", [b"{", b"[]", b'"x"', b"\xff", b""])
def test_a_body_that_is_none_is_refused(
    world: World, method: str, path: str, content: bytes
) -> None:
    answer = world.http.request(
        method,
        f"{world.service.url}{V1}{path.format(**world.names)}",
        content=content,
        headers={
            "Authorization": f"Bearer {world.service.token}",
            "Content-Type": "application/json",
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_metrics_need_an_administrator(world: World) -> None:
    url = f"{world.service.url}/metrics"
    known = {"Authorization": f"Bearer {world.tokens['administrator']}"}
    world.http.get(f"{world.service.url}/api/v1/databases/default", headers=known)
    assert httpx.get(url).status_code == 401
    for who, status in (("admin", 403), ("administrator", 200)):
        token = world.tokens[who]
        answer = world.http.get(url, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status
    assert 'route="/databases/{database}"' in answer.text
    assert "dli_request_seconds_bucket" in answer.text
    assert "default" not in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
def test_what_is_public_needs_no_token(world: World, path: str) -> None:
    answer = httpx.get(world.service.url + path)
    assert answer.status_code == 200
    assert "http://" not in answer.text.replace(world.service.url, "")


def test_a_project_header_opens_only_what_one_may(world: World) -> None:
    url = f"{world.service.url}{V1}/queues"
    for who, project, status in (
        ("administrator", "other", 200),
        ("stranger", "default", 404),
        ("reader", "absent", 404),
        ("administrator", "absent", 404),
    ):
        headers = {"Authorization": f"Bearer {world.tokens[who]}", "DLI-Project": project}
        assert httpx.get(url, headers=headers).status_code == status
