"""Pipelines over REST: apply, plan, run, look, resume, backfill; and the published schema."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dli.api.pipelines import pipeline_schema
from tests.support.pipelines import FULL
from tests.support.replicas import ENDLESS
from tests.support.service import in_process

pytestmark = pytest.mark.xdist_group("api")

TEXT: dict[str, Any] = {
    "parameters": {"day": {"type": "date"}},
    "nodes": {
        "make": {"sql": "CREATE DATABASE IF NOT EXISTS made"},
        "show": {"kind": "statement", "sql": "SHOW DATABASES", "needs": ["make"]},
        "never": {"kind": "statement", "sql": "SHOW DATABASES", "when": "params.day is null"},
    },
}
DAY = {"day": "2026-01-31"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with in_process(tmp_path_factory.mktemp("home")) as service, service.client() as client:
        yield client


def apply(api: httpx.Client, name: str, text: dict[str, Any]) -> dict[str, Any]:
    answer = api.put(f"/pipelines/{name}", json=text)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_text_is_applied_once_and_told_with_its_graph(api: httpx.Client) -> None:
    made = apply(api, "first", TEXT)
    assert (made["revision"], made["new"]) == (1, True)
    assert made["order"] == ["make", "never", "show"]
    assert made["edges"] == [
        {"before": "make", "after": "show", "reason": "needs", "inferred": False}
    ]
    assert not apply(api, "first", TEXT)["new"]
    got = api.get("/pipelines/first").json()
    assert got["pipeline"]["name"] == "first"
    assert "first" in [each["name"] for each in api.get("/pipelines").json()["items"]]


def test_all_that_is_wrong_is_told_by_its_place(api: httpx.Client) -> None:
    wrong = {"nodes": {"a": {"sql": "SELEC 1"}}, "paralel": 3}
    answer = api.put("/pipelines/wrong", json=wrong)
    assert (answer.status_code, answer.json()["hint"]) == (400, "did you mean 'parallel'?")
    answer = api.put("/pipelines/wrong", json={"nodes": {"a": {"sql": "SELEC 1"}}})
    told = answer.json()
    assert (answer.status_code, told["code"]) == (400, "pipeline_invalid")
    assert told["errors"][0]["field"] == "nodes.a.sql"
    answer = api.put("/pipelines/wrong", json={"nodes": {"a": {"sql": "SHOW TABLES", "que": 1}}})
    assert [each["field"] for each in answer.json()["errors"]] == ["nodes.a.que"]
    assert api.put("/pipelines/wrong", json={}).json()["errors"][0]["field"] == "nodes"
    leased = {"a": {"sql": "SELECT 1", "lease": {"ttl": "5s"}}}
    answer = api.put("/pipelines/wrong", json={"nodes": leased})
    assert [each["field"] for each in answer.json()["errors"]] == ["nodes.a.lease"]
    labels = {"a b": "c", "d": "x" * 257}
    answer = api.put(
        "/pipelines/wrong", json={"nodes": {"a": {"sql": "SELECT 1"}}, "labels": labels}
    )
    assert [each["field"] for each in answer.json()["errors"]] == ["labels.a b", "labels.d"]
    assert api.get(f"/pipelines/wrong?revision={2**63}").status_code == 400


def test_a_run_is_a_job_with_nodes(api: httpx.Client) -> None:
    apply(api, "runs", TEXT)
    answer = api.post("/pipelines/runs/runs", json={"parameters": DAY, "wait": "20s"})
    run = answer.json()
    assert (answer.status_code, run["state"], run["kind"]) == (200, "finished", "pipeline")
    assert (run["name"], run["revision"]) == ("runs", 1)
    told = api.get(f"/runs/{run['id']}").json()
    assert {node["name"]: node["state"] for node in told["nodes"]} == {
        "make": "succeeded", "show": "succeeded", "never": "skipped"
    }  # fmt: skip
    show = next(node for node in told["nodes"] if node["name"] == "show")
    assert show["outputs"]["value"]["type"] == "string"
    assert show["after"][0]["before"] == "make"
    assert told["cost"]["amount"] == "0.000000000"
    job = api.get(f"/jobs/{show['job']}").json()
    assert (job["parent"], job["node"]) == (run["id"], "show")
    listed = api.get("/pipelines/runs/runs").json()["items"]
    assert [each["id"] for each in listed] == [run["id"]]
    assert api.get("/jobs", params={"kind": "pipeline"}).json()["items"]
    refused = api.post(f"/runs/{run['id']}/resume", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "pipeline_run_not_resumable")
    assert api.get(f"/runs/{show['job']}").status_code == 404


def test_a_key_starts_one_run(api: httpx.Client) -> None:
    apply(api, "keyed", TEXT)
    key = {"Idempotency-Key": "once"}
    body = {"parameters": DAY}
    first, second = (
        api.post("/pipelines/keyed/runs", json=body, headers=key).json() for _ in range(2)
    )
    assert first["id"] == second["id"]
    other = api.post("/pipelines/keyed/runs", json={"parameters": {}}, headers=key)
    assert other.json()["code"] == "idempotency_conflict"


def test_what_a_run_lacks_is_told(api: httpx.Client) -> None:
    apply(api, "lacks", TEXT)
    answer = api.post("/pipelines/lacks/runs", json={})
    assert (answer.status_code, answer.json()["code"]) == (400, "pipeline_parameter_invalid")
    answer = api.post("/pipelines/lacks/runs", json={"parameters": DAY, "retry": {"attempts": 2}})
    assert answer.json()["hint"] == "say retry in the nodes of the pipeline"
    answer = api.post("/pipelines/lacks/runs", json={"parameters": DAY, "revision": 9})
    assert (answer.status_code, answer.json()["code"]) == (404, "pipeline_revision_not_found")


def test_a_plan_of_a_text_keeps_nothing(api: httpx.Client) -> None:
    body = {"pipeline": TEXT, "parameters": DAY}
    plan = api.post("/pipelines/planned/plan", json=body).json()
    assert (plan["revision"], plan["complete"]) == (None, True)
    assert [node["name"] for node in plan["nodes"]] == ["make", "never", "show"]
    assert plan["price"]["amount"] == "0.000000000"
    assert api.get("/pipelines/planned").status_code == 404


def test_changes_are_compared_and_taken_back(api: httpx.Client) -> None:
    apply(api, "changed", TEXT)
    other = {**TEXT, "parallel": 2}
    diff = api.post("/pipelines/changed/diff", json={"pipeline": other}).json()
    assert diff["fields"] == {"parallel": {"before": 8, "after": 2}}
    apply(api, "changed", other)
    assert not api.get("/pipelines/changed/diff").json()["same"]
    back = api.post("/pipelines/changed/rollback", json={"revision": 1}).json()
    assert (back["revision"], back["rolled_back_to"]) == (3, 1)
    query = {"before": 1, "after": 3}
    assert api.get("/pipelines/changed/diff", params=query).json()["same"]
    items = api.get("/pipelines/changed/revisions").json()["items"]
    assert [each["revision"] for each in items] == [3, 2, 1]
    assert api.delete("/pipelines/changed").status_code == 204
    assert api.get("/pipelines/changed").json()["code"] == "pipeline_not_found"


def test_a_backfill_shows_its_days(api: httpx.Client) -> None:
    apply(api, "filled", TEXT)
    body = {"from": "2026-01-01", "to": "2026-01-02", "max_cost": "0.01", "parallel": 2}
    made = api.post("/pipelines/filled/backfills", json=body)
    assert made.status_code == 202
    found = made.json()
    for _ in range(400):
        if found["ended_at"]:
            break
        threading.Event().wait(0.05)
        found = api.get(f"/backfills/{found['id']}").json()
    assert (found["state"], found["counts"]) == ("finished", {"succeeded": 2})
    assert [day["day"] for day in found["days"]] == ["2026-01-01", "2026-01-02"]
    (listed,) = api.get("/pipelines/filled/backfills").json()["items"]
    assert (listed["id"], listed["days"]) == (found["id"], [])
    answer = api.post(f"/backfills/{found['id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "backfill_state")
    wrong = api.post("/pipelines/filled/backfills", json={**body, "to": "2025-01-01"})
    assert wrong.json()["code"] == "backfill_invalid"


def test_a_pipeline_runs_another(api: httpx.Client) -> None:
    apply(api, "inner", TEXT)
    inner = {"kind": "pipeline", "pipeline": "inner", "parameters": {"day": {"ref": "params.day"}}}
    apply(api, "outer", {"parameters": {"day": "date"}, "nodes": {"inner": inner}})
    run = api.post("/pipelines/outer/runs", json={"parameters": DAY, "wait": "20s"}).json()
    assert run["state"] == "finished", run["error"]
    (child,) = api.get("/jobs", params={"parent": run["id"]}).json()["items"]
    assert (child["kind"], child["name"], child["state"]) == ("pipeline", "inner", "finished")


def test_the_schema_knows_every_field(api: httpx.Client) -> None:
    schema = api.get("/schemas/pipeline.json").json()
    assert schema == pipeline_schema()
    assert set(FULL) <= set(schema["properties"])
    kinds = schema["properties"]["nodes"]["additionalProperties"]["oneOf"]
    bodies = [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in kinds]
    assert {body["properties"]["kind"]["const"] for body in bodies} == {
        "statement", "batch", "task", "pipeline"
    }  # fmt: skip
    for body in bodies:
        assert {"needs", "when", "retry", "on_failure"} <= set(body["properties"])
    statement = next(each for each in bodies if "sql" in each["properties"])
    assert "anyOf" not in statement["properties"]["sql"], "a reference never stands for SQL"
    assert {"$ref": "#/$defs/Reference"} in statement["properties"]["timeout"]["anyOf"]


def test_a_node_that_waits_says_for_what(api: httpx.Client) -> None:
    api.post("/queues", json={"name": "one-by-one", "max_running": 1})
    nodes = {
        "first": {"sql": ENDLESS, "queue": "one-by-one"},
        "second": {"sql": "SELECT 1 AS one", "queue": "one-by-one"},
        "last": {"sql": "SELECT 1 AS one", "needs": ["first", "second"]},
    }
    apply(api, "waits", {"nodes": nodes})
    run = api.post("/pipelines/waits/runs", json={"wait": "0s"}).json()
    try:
        for _ in range(100):
            found = api.get(f"/runs/{run['id']}").json()
            waits = {node["name"]: (node["wait"] or {}).get("reason") for node in found["nodes"]}
            if "queue_full" in waits.values():
                break
            threading.Event().wait(0.1)
        assert waits["last"] == "dependency"
        other = {waits["first"], waits["second"]} - {"queue_full"}
        assert other <= {None, "warm_up"}, "it runs, or its engine is being started"
        assert len(other) == 1
    finally:
        api.post(f"/jobs/{run['id']}/cancel")
