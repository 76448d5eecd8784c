"""The service is killed again and again at moments that nobody chose: ``make test-trials`` does it
500 times. What was accepted ends once, whatever ran has gone, and nothing happened twice."""

from __future__ import annotations

import contextlib
import os
import random
import uuid
from pathlib import Path

import pytest

from benchmarks.service import Service, pause
from dli.client import Client
from dli.remote.problems import RemoteError
from tests.e2e.conftest import Starter
from tests.e2e.processes import of_home

ROUNDS = int(os.environ.get("DLI_TRIALS", "6"))
ENVIRONMENT = {
    "DLI_LEASE": "2s",
    "DLI_RUN_LEASE": "15s",
    "DLI_TASK_COMMANDS": "sh",
    "DLI_TASK_SANDBOX": "off",
    "DLI_MAX_ATTEMPTS": "10",
}


def insert(client: Client, number: int) -> None:
    """Accepted or not: whoever asks again with the same key learns it."""
    client.submit(
        f"INSERT INTO default.seen SELECT {number} AS n",
        wait="0s",
        idempotency_key=f"insert-{number}",
    )


def task(client: Client, folder: Path, number: int) -> None:
    lock = f"exec 9>{folder}/lock-{number}; flock -n 9 || touch {folder}/twice"
    body = {"command": ["sh", "-c", f"{lock}; sleep 0.7; echo {number}"], "retry": {"attempts": 10}}
    client._json("POST", "/tasks", body=body, headers={"Idempotency-Key": f"task-{number}"})


def one_round(service: Service, folder: Path, number: int, moment: float) -> None:
    with (
        Client(service.url, service.token, patient=False) as client,
        contextlib.suppress(RemoteError),
    ):
        insert(client, number)
        task(client, folder, number)
        pause(moment)
        insert(client, -number)
    service.kill()


@pytest.mark.slow
def test_nothing_is_lost_done_twice_or_left(starter: Starter, tmp_path: Path) -> None:
    home, seed = tmp_path / "home", uuid.uuid4().hex
    chance = random.Random(seed)
    service = starter(home, environment=ENVIRONMENT)
    service.await_ready()
    with service.client() as client:
        client.run("CREATE TABLE default.seen AS SELECT 0 AS n")
    for number in range(1, ROUNDS + 1):
        one_round(service, tmp_path, number, chance.uniform(0.0, 2.5))
        service = starter(home, environment=ENVIRONMENT)
        service.await_ready()
    with service.client() as client:
        for number in range(1, ROUNDS + 1):
            insert(client, number)
            insert(client, -number)
            task(client, tmp_path, number)
        jobs = list(client.jobs(limit=1000))
        ended = [client.wait_job(client.job(job["id"])) for job in jobs]
        assert {job["state"] for job in ended} == {"finished"}, (seed, [j["error"] for j in ended])
        assert len(jobs) == 1 + 3 * ROUNDS, "one job for each key"
        found = sorted(client.query("SELECT n FROM default.seen")["n"].to_pylist())
        assert found == sorted(range(-ROUNDS, ROUNDS + 1)), seed
    assert not (tmp_path / "twice").exists(), seed
    assert service.stop() == 0
    assert of_home(home) == []
