"""Canaries over HTTP and by the command line, on a service whose engines are real."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from dli.cli.main import run
from tests.support.service import Service, in_process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with in_process(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def imaged(service: Service) -> Iterator[None]:
    """As if images had a meaning here: each is the same engine."""
    assert service.services is not None
    runtime = service.services.jobs.canaries.canaries
    runtime.possible = True
    yield
    runtime.possible = False


@pytest.fixture
def queue(admin: httpx.Client, request: pytest.FixtureRequest) -> str:
    name = f"q{abs(hash(request.node.name)) % 10**9}"
    assert admin.post("/queues", json={"name": name}).status_code == 201
    return name


@pytest.fixture
def dli(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What a command prints; it must end well."""
    monkeypatch.setenv("DLI_URL", service.url)
    monkeypatch.setenv("DLI_TOKEN", service.token)

    def command(*words: str) -> str:
        assert run(words) == 0, capsys.readouterr().err
        told = capsys.readouterr()
        return told.out + told.err

    return command


def ran(client: httpx.Client, queue: str, sql: str = "SELECT 1") -> dict[str, Any]:
    answer = client.post("/statements", json={"sql": sql, "queue": queue, "wait": "60s"})
    found: dict[str, Any] = answer.json()
    assert found["state"] == "finished", answer.text
    return found


def test_without_pods_there_is_none(admin: httpx.Client, queue: str) -> None:
    refused = admin.post(f"/queues/{queue}/canary", json={"image": "dli:2"})
    assert (refused.status_code, refused.json()["code"]) == (422, "canary_needs_pods")
    assert "launcher = kubernetes" in refused.json()["hint"]
    assert admin.get(f"/queues/{queue}/canaries").json()["items"] == []


@pytest.mark.usefixtures("imaged")
def test_a_canary_from_its_start_to_its_promotion(admin: httpx.Client, queue: str) -> None:
    at = f"/queues/{queue}/canary"
    assert admin.get(at).json()["code"] == "canary_not_found"
    made = admin.post(at, json={"image": "dli:2", "percent": 100})
    assert made.status_code == 201, made.text
    assert (made.json()["state"], made.json()["max_errors"]) == ("running", 10)
    again = admin.post(at, json={"image": "dli:3"})
    assert (again.status_code, again.json()["code"]) == (409, "canary_exists")
    engine = ran(admin, queue)["engine"]
    assert (engine["image"], engine["canary"]) == ("dli:2", made.json()["id"])
    changed = admin.patch(at, json={"percent": 0, "shadow": 5, "max_errors": None}).json()
    assert (changed["percent"], changed["shadow"], changed["max_errors"]) == (0, 5, None)
    assert ran(admin, queue)["engine"]["canary"] is None
    told = admin.get(at).json()
    assert told["figures"]["split"] == {"finished": 1, "failed": 0, "rescued": 0}
    assert admin.post(f"{at}/promote").json()["state"] == "promoted"
    assert admin.get(f"/queues/{queue}").json()["pods"]["image"] == "dli:2"
    assert ran(admin, queue)["engine"]["image"] == "dli:2"
    (past,) = admin.get(f"/queues/{queue}/canaries").json()["items"]
    assert (past["state"], past["ended_for"]) == ("promoted", "asked")
    assert past["figures"]["split"]["finished"] == 1
    assert admin.post(f"{at}/rollback").status_code == 404


@pytest.mark.usefixtures("imaged")
def test_a_queue_that_is_made_anew_inherits_none(admin: httpx.Client, queue: str) -> None:
    admin.post(f"/queues/{queue}/canary", json={"image": "dli:2", "percent": 100})
    assert admin.delete(f"/queues/{queue}").status_code == 204
    admin.post("/queues", json={"name": queue})
    assert ran(admin, queue)["engine"]["canary"] is None
    (past,) = admin.get(f"/queues/{queue}/canaries").json()["items"]
    assert (past["state"], past["ended_for"]) == ("rolled_back", "queue_deleted")


@pytest.mark.usefixtures("imaged")
@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "invalid_request", "image"),
        ({"image": "x y"}, "canary_invalid", "image"),
        ({"image": "dli:2", "percent": 101}, "canary_invalid", "percent"),
        ({"image": "dli:2", "percent": 10.5}, "invalid_request", "percent"),
        ({"image": "dli:2", "max_errors": 0}, "canary_invalid", "max_errors"),
    ],
)
def test_a_form_that_is_wrong_is_explained(
    admin: httpx.Client, queue: str, body: dict[str, Any], code: str, field: str
) -> None:
    refused = admin.post(f"/queues/{queue}/canary", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert field in refused.text


@pytest.mark.usefixtures("imaged")
def test_one_command_for_each_step(
    admin: httpx.Client, queue: str, dli: Callable[..., str]
) -> None:
    canary = ("queue", "canary")
    started = dli(*canary, "start", queue, "--image", "dli:2", "--percent", "100")
    assert "100 % of statements run on dli:2" in started
    job = ran(admin, queue)
    assert "dli:2" in dli("statement", "show", job["id"])
    told = dli(*canary, "show", queue)
    assert "finished=1" in told
    assert "0 (0 %)" in told
    assert "20 %" in dli(*canary, "set", queue, "--percent", "20", "--max-errors", "none")
    assert json.loads(dli(*canary, "show", queue, "--json"))["max_errors"] is None
    assert "the image of the service again" in dli(*canary, "rollback", queue)
    dli(*canary, "start", queue, "--image", "dli:3")
    assert "runs on dli:3" in dli(*canary, "promote", queue)
    states = [each["state"] for each in json.loads(dli(*canary, "history", queue, "--json"))]
    assert states == ["promoted", "rolled_back"]
    assert "dli:2" in dli(*canary, "history", queue)


@pytest.mark.usefixtures("imaged")
def test_metrics_tell_what_became_of_statements(
    admin: httpx.Client, service: Service, queue: str
) -> None:
    admin.post(f"/queues/{queue}/canary", json={"image": "dli:2", "percent": 100})
    ran(admin, queue)
    headers = {"Authorization": f"Bearer {service.token}"}
    told = httpx.get(f"{service.url}/metrics", headers=headers).text
    assert 'dli_canary_trials_total{kind="split",outcome="finished"}' in told
