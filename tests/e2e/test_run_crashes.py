"""kill -9 of the service at each step of a task: it runs once where it can be told, and never twice
at the same time; nothing is left over."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service import Service
from dli.client import Client
from dli.remote.problems import UnreachableError
from jobs.crash import RUN_POINTS, VARIABLE
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that, of_home

#: Before the start of the process is on record nobody can tell whether it ran: it may run again.
LAUNCHED = ("run_started", "run_goes_on", "run_ended", "before_adoption", "after_adoption")
#: Steps that a task shares with statements.
SHARED = (
    "in_submit_before_commit",
    "after_submit",
    "after_claim",
    "before_publish",
    "in_publish_before_commit",
    "after_commit",
)
POINTS = (*SHARED, *RUN_POINTS)
FAST = {"run_goes_on", "in_publish_before_commit", "after_launch", "after_adoption"}
ENVIRONMENT = {"DLI_LEASE": "2s", "DLI_RUN_LEASE": "15s", "DLI_TASK_COMMANDS": "sh"}
ENVIRONMENT |= {"DLI_TASK_SANDBOX": "off"}


def asked(home: Path) -> dict[str, Any]:
    """A task that notes each run of it: one that overlaps with another leaves ``twice``."""
    seen = home.parent
    text = (
        f"exec 9>{seen}/lock; flock -n 9 || touch {seen}/twice; echo ran >> {seen}/runs;"
        " sleep 1.5; echo done"
    )
    return {"command": ["sh", "-c", text], "retry": {"attempts": 3}}


def submit(client: Client, home: Path, key: str) -> dict[str, Any]:
    headers = {"Idempotency-Key": key}
    return client._json("POST", "/tasks", body=asked(home), headers=headers)


def crashed(starter: Starter, home: Path, point: str, key: str) -> None:
    """A service that dies at ``point`` of the task; for adoption its second life does."""
    if "adoption" in point:
        service = starter(home, environment=ENVIRONMENT)
        service.await_ready()
        with service.client() as client:
            submit(client, home, key)
            wait_for_run(home)
        service.kill()
        service = starter(home, environment=ENVIRONMENT | {VARIABLE: point})
        service.process.wait(60)
    else:
        service = starter(home, environment=ENVIRONMENT | {VARIABLE: point})
        service.await_ready()
        with (
            Client(service.url, service.token, patient=False) as client,
            contextlib.suppress(UnreachableError),
        ):
            submit(client, home, key)
        service.process.wait(60)
    assert service.process.returncode == -9, "it died at the point, of nothing else"


def wait_for_run(home: Path) -> None:
    assert await_that((home.parent / "runs").exists, seconds=30)


@pytest.mark.parametrize(
    "point",
    [pytest.param(each, marks=() if each in FAST else pytest.mark.slow) for each in POINTS],
)
def test_a_task_ends_once_after_a_crash(starter: Starter, tmp_path: Path, point: str) -> None:
    home, key = tmp_path / "home", uuid.uuid4().hex
    crashed(starter, home, point, key)
    again = starter(home, environment=ENVIRONMENT)
    again.await_ready()
    job = ended(again, home, key)
    assert job["state"] == "finished", job["error"]
    runs = (tmp_path / "runs").read_text().split()
    assert not (tmp_path / "twice").exists(), "never two at the same time"
    if point in LAUNCHED or point in SHARED:
        assert len(runs) == 1, "what is known to run, or to have run, is not run again"
        assert job["attempt"] <= 2
    with again.client() as client:
        listed = list(client.jobs(kind="task"))
        assert [item["id"] for item in listed] == [job["id"]]
        with client.log(job["id"]) as pieces:
            assert b"".join(pieces).split() in ([b"done"], [])
    assert again.stop() == 0
    assert of_home(home) == []


def ended(service: Service, home: Path, key: str) -> dict[str, Any]:
    """The end of the task, found by asking again with its key."""
    with service.client() as client:
        return client.wait_job(client.job(submit(client, home, key)["id"]))
