"""Batches and files over REST, up to the moment at which they would run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from dli.processes import Role
from jobs.history.fingerprints import fingerprint_of
from jobs.history.store import FINISHED, Observation, note
from jobs.lifecycle.job import Job
from jobs.store.jobs import load
from tests.support.service import in_process

PROGRAM = b"print('hello')\n"
SHA = hashlib.sha256(PROGRAM).hexdigest()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose files may be read."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "app.py").write_bytes(PROGRAM)
    return folder


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[httpx.Client]:
    """The API of a service that takes jobs and runs none."""
    home = tmp_path_factory.mktemp("home")
    settings: dict[str, Any] = {"allow_paths": (data,), "max_upload": 100_000}
    with (
        in_process(home, role=Role.API, **settings) as service,
        service.client() as client,
    ):
        yield client


def upload(api: httpx.Client, content: bytes) -> str:
    answer = api.post("/files", content=content)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["sha256"])


def submit(api: httpx.Client, **body: Any) -> httpx.Response:
    program = {"name": "app.py", "sha256": upload(api, PROGRAM)}
    return api.post("/batches", json={"program": program, **body})


def form(api: httpx.Client, body: object, **files: bytes) -> httpx.Response:
    parts = [("file", (name.replace("__", "."), content)) for name, content in files.items()]
    return api.post("/batches", data={"batch": json.dumps(body)}, files=parts)


def test_a_file_is_named_by_its_content(api: httpx.Client) -> None:
    first, again = (api.post("/files", content=PROGRAM).json() for _ in range(2))
    assert (first["sha256"], first["size"]) == (SHA, len(PROGRAM))
    assert again["created_at"] == first["created_at"]


def test_a_file_that_is_too_large_is_refused(api: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(11):
            yield b"x" * 10_000

    for content in (b"x" * 100_001, pieces()):
        answer = api.post("/files", content=content)
        assert answer.status_code == 413, answer.text
    assert upload(api, b"x" * 100_000)


def test_submit_gives_the_envelope(api: httpx.Client) -> None:
    answer = submit(api, name="first", arguments=["a b", "--c"], labels={"team": "x"})
    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/jobs/{body['id']}"
    assert (body["kind"], body["state"], body["labels"]) == ("batch", "queued", {"team": "x"})
    assert body["spec"]["arguments"] == ["a b", "--c"]
    assert body["spec"]["driver"] == {"cores": 1, "memory_bytes": 4 << 30}
    assert body["bill"] is None
    assert api.get(f"/jobs/{body['id']}").json()["id"] == body["id"]


def test_a_form_carries_the_files(api: httpx.Client) -> None:
    body = {"program": {"part": "app.py"}, "py_files": [{"part": "lib.zip"}]}
    spec = form(api, body, app__py=PROGRAM, lib__zip=b"PK").json()["spec"]
    assert (spec["name"], spec["program"]["sha256"]) == ("app", SHA)
    assert spec["py_files"] == [
        {"name": "lib.zip", "size": 2, "sha256": hashlib.sha256(b"PK").hexdigest()}
    ]


def test_an_object_may_be_the_program(api: httpx.Client, data: Path) -> None:
    spec = api.post("/batches", json={"program": str(data / "app.py")}).json()["spec"]
    assert spec["program"]["uri"] == f"file://{data}/app.py"
    assert spec["program"]["name"] == "app.py"


def test_the_same_key_is_the_same_job(api: httpx.Client) -> None:
    headers = {"Idempotency-Key": "one"}
    body = {"program": {"part": "app.py"}}
    data = {"batch": json.dumps(body)}
    files = [("f", ("app.py", PROGRAM))]
    first = api.post("/batches", data=data, files=files, headers=headers).json()
    again = api.post("/batches", data=data, files=files, headers=headers).json()
    assert first["id"] == again["id"]
    other = api.post("/batches", data=data, files=[("f", ("app.py", b"1"))], headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"program": {"part": "other.py"}}, "no file called 'other.py'"),
        ({"program": {"name": "app.py"}}, "give one of sha256, uri and part"),
        ({"program": {"part": "app.py"}, "size": "smal"}, "no size 'smal'"),
        ({"program": {"part": "app.py"}, "surprise": 1}, "surprise: is not a known field"),
        ({"program": {"part": "app.py"}, "wait": "2m"}, "wait: at most 60s"),
        ([], "batch: is no JSON object"),
    ],
)
def test_a_form_that_is_wrong_is_explained(api: httpx.Client, body: object, part: str) -> None:
    answer = form(api, body, app__py=PROGRAM)
    assert answer.status_code == 400, answer.text
    assert part in answer.json()["detail"]


@pytest.mark.parametrize("arguments", ["[" * 100_000, r'["\ud800"]'])
def test_json_that_nobody_can_keep_is_bad_input(api: httpx.Client, arguments: str) -> None:
    program = json.dumps({"name": "app.py", "sha256": upload(api, PROGRAM)})
    body = f'{{"program": {program}, "arguments": {arguments}, "mode": "estimate"}}'
    answer = api.post("/batches", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_form_without_its_json_is_explained(api: httpx.Client) -> None:
    answer = api.post("/batches", files=[("f", ("app.py", PROGRAM))])
    assert answer.status_code == 400
    assert answer.json()["detail"] == "batch: the form has no part of this name"


def test_a_part_without_a_form_is_explained(api: httpx.Client) -> None:
    answer = api.post("/batches", json={"program": {"part": "app.py"}})
    assert answer.status_code == 400
    assert "multipart/form-data" in answer.json()["hint"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"conf": {"spark.driver.memory": "9g"}}, 400, "conf_refused"),
        ({"conf": {"spark.sq.shuffle.partitions": 9}}, 400, "conf_refused"),
        ({"program": {"name": "app.py", "sha256": "ab" * 32}}, 404, "file_not_found"),
        ({"program": "/etc/hostname.py"}, 403, "location_forbidden"),
        ({"program": "s3://somebody/app.py"}, 403, "unknown_bucket"),
        ({"queue": "absent"}, 404, "queue_not_found"),
        ({"tables": ["sales.absent"]}, 404, "database_missing"),
        ({"environment": {"LD_PRELOAD": "/x.so"}}, 400, "job_invalid"),
    ],
)
def test_what_cannot_be_is_refused(
    api: httpx.Client, body: dict[str, Any], status: int, code: str
) -> None:
    answer = submit(api, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_a_refused_key_has_a_near_one(api: httpx.Client) -> None:
    told = submit(api, conf={"spark.sql.shuffle.partition": 9}).json()
    assert told["state"] == "queued"  # spark.sql.* is allowed, known or not
    told = submit(api, conf={"spark.shufle.compress": True}).json()
    assert told["key"] == "spark.shufle.compress"
    assert told["hint"] == "did you mean spark.shuffle.compress?"


def test_a_sql_program_is_read_before_it_runs(api: httpx.Client) -> None:
    program = {"name": "a.sql", "sha256": upload(api, b"select 1;\nselect 'x")}
    answer = api.post("/batches", json={"program": program})
    assert (answer.status_code, answer.json()["code"]) == (400, "sql_syntax")
    assert answer.json()["line"] == 2
    program = {"name": "a.sql", "sha256": upload(api, b"-- nothing\n")}
    assert api.post("/batches", json={"program": program}).json()["code"] == "script_invalid"


def test_estimate_keeps_no_job_and_names_no_price(api: httpx.Client) -> None:
    before = len(api.get("/jobs", params={"limit": 1000}).json()["items"])
    answer = submit(api, mode="estimate", size="medium", timeout="10m")
    told = answer.json()
    assert answer.status_code == 200
    assert told["size"] == {"name": "medium", "cores": 2, "memory_bytes": 8 << 30}
    assert told["cu_milliseconds"] == {"likely": None, "most": 2 * 600_000}
    assert (told["id"], told["price"]) == (None, None)
    assert len(api.get("/jobs", params={"limit": 1000}).json()["items"]) == before


def test_another_project_does_not_have_the_file(api: httpx.Client) -> None:
    upload(api, PROGRAM)
    api.post("/projects", json={"name": "other"}).raise_for_status()
    program = {"name": "app.py", "sha256": SHA}
    answer = api.post("/batches", json={"program": program}, headers={"DLI-Project": "other"})
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")


def test_a_queued_batch_is_cancelled_at_once(api: httpx.Client) -> None:
    job = submit(api).json()
    answer = api.post(f"/jobs/{job['id']}/cancel").json()
    assert (answer["state"], answer["terminal"]) == ("cancelled", True)


def test_a_client_of_an_engine_reserves_little(api: httpx.Client) -> None:
    told = submit(api, session="connect", mode="estimate", timeout="10m").json()
    assert told["size"]["memory_bytes"] == 1 << 30
    assert told["spec"]["size_reason"] == "of a client"


def test_a_program_that_ran_before_is_sized_by_what_it_used(tmp_path: Path) -> None:
    with in_process(tmp_path / "home", role=Role.API) as service, service.client() as api:
        job = submit(api, timeout="1h").json()
        assert (job["spec"]["driver"]["memory_bytes"], job["spec"]["size_reason"]) == (
            4 << 30,
            "the default",
        )
        assert service.services is not None
        with service.services.database.transaction() as tx:
            kept = load(tx, job["id"])
            assert kept is not None
            note(tx, observed(kept, peak_memory=5 << 30, memory_bytes=8 << 30))
        again = submit(api).json()["spec"]
        assert again["driver"] == {"cores": 1, "memory_bytes": 7 << 30}
        assert again["size_reason"].startswith("peak 5.4 GB")
        assert submit(api, size="small").json()["spec"]["size_reason"] == "as asked"
        told = submit(api, mode="estimate", size="small").json()
        assert told["cu_milliseconds"]["likely"] == 60_000


def observed(job: Job, **changes: Any) -> Observation:
    """A good run of the same program, of one minute."""
    fingerprint = fingerprint_of(job.spec)
    assert fingerprint is not None
    values: dict[str, Any] = {
        "job_id": job.id,
        "attempt": 1,
        "project_id": job.project_id,
        "queue": job.queue,
        "fingerprint": fingerprint,
        "kind": job.kind,
        "outcome": FINISHED,
        "at": job.created_at,
        "wall": timedelta(minutes=1),
        "cpu_millis": 1000,
    }
    return Observation(**values | changes)
