"""Many small statements from 16 clients: how many are taken, and how many are finished, a second.

The load comes from a process of its own with a plain HTTP client, so that it takes little of the
machine from the service; both share the cores all the same.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import threading
import time
import uuid
from collections.abc import Iterator

from benchmarks.measuring import Context, Row
from benchmarks.service import Service, pause, running_service

CLIENTS = 16


def run(context: Context) -> Iterator[Row]:
    """Submits, finished statements, and the same load on an endpoint that does nothing."""
    count = 800 if context.quick else 4_000
    with running_service(context.home("load")) as service:
        with service.client() as client:
            client.update_queue("default", max_waiting=100_000)
            client.run("SELECT 1")
        finished = _rate(service, "POST", "30s", count, expected=200)
        plain = _rate(service, "GET", None, count, expected=200)
        submitted = _rate(service, "POST", "0s", count, expected=202)
        _drain(service)
    yield Row(
        name=f"finished statements, {CLIENTS} clients",
        value=finished,
        unit="/s",
        baseline=plain,
        beside="GET /healthz",
        aim="≥ 150",
        met=finished >= 150,
    )
    yield Row(
        name=f"submits, {CLIENTS} clients",
        value=submitted,
        unit="/s",
        baseline=plain,
        beside="GET /healthz",
        aim="≥ 500",
        met=submitted >= 500,
    )


def _rate(service: Service, method: str, wait: str | None, count: int, *, expected: int) -> float:
    """Requests a second; the time is from the first to the last of them."""
    spawn = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[tuple[float, str]] = spawn.Queue()
    host = service.url.removeprefix("http://")
    arguments = (answers, host, service.token, method, wait, count, expected)
    process = spawn.Process(target=_load, args=arguments)
    process.start()
    seconds, problem = answers.get(timeout=600)
    process.join()
    if problem:
        raise RuntimeError(problem)
    return count / seconds


def _load(
    answers: multiprocessing.Queue[tuple[float, str]],
    host: str,
    token: str,
    method: str,
    wait: str | None,
    count: int,
    expected: int,
) -> None:
    """The other process: ``CLIENTS`` threads, each with one connection that stays open."""
    problems: list[str] = []
    ready = threading.Barrier(CLIENTS + 1)

    def client() -> None:
        connection = http.client.HTTPConnection(host, timeout=120)
        connection.connect()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        ready.wait()
        for _ in range(count // CLIENTS):
            if method == "GET":
                connection.request("GET", "/healthz", headers=headers)
            else:
                headers["Idempotency-Key"] = uuid.uuid4().hex
                body = json.dumps({"sql": "SELECT 1 AS one", "wait": wait})
                connection.request("POST", "/api/v1/statements", body=body, headers=headers)
            response = connection.getresponse()
            content = response.read()
            if response.status not in {expected, 200}:
                problems.append(f"{response.status}: {content[:500]!r}")
                return

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    answers.put((time.perf_counter() - began, problems[0] if problems else ""))


def _drain(service: Service) -> None:
    """Wait until nothing is queued, so that the stop has nothing to hand over."""
    with service.client() as client:
        while next(iter(client.statements(state="queued", limit=1)), None) is not None:
            pause(0.2)
