"""kill -9 of the service or of an engine at each step: nothing is lost, done twice or left over."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path

import psutil
import pytest

from benchmarks.service import Service, pause
from dli.client import Client
from dli.remote.problems import UnreachableError
from jobs.crash import STATEMENT_POINTS, VARIABLE
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that, of_home

READ_POINTS = [
    point
    for point in STATEMENT_POINTS
    if point not in {"in_write_before_commit", "before_cancelled"}
]
#: Where a write differs from a query; at the other points they are the same up to the crash.
WRITES_OWN = {"after_claim", "after_execute", "in_write_before_commit", "after_commit"}
WRITE_POINTS = [
    pytest.param(point, marks=() if point in WRITES_OWN else pytest.mark.slow)
    for point in STATEMENT_POINTS
    if point not in {"mid_execute", "before_cancelled"}
]
#: Short, so that the next start need not wait long for the leases of the dead one.
LEASE = {"DLI_LEASE": "2s"}


def crashing(starter: Starter, home: Path, point: str, sql: str, *first: str) -> str:
    """Start a service that dies at ``point`` of ``sql``, after ``first``; the submit's key.

    Each statement of ``first`` passes the point once.
    """
    environment = LEASE | {VARIABLE: f"{point}:{len(first) + 1}"}
    service = starter(home, environment=environment)
    service.await_ready()
    key = uuid.uuid4().hex
    with Client(service.url, service.token, patient=False) as client:
        for statement in first:
            client.run(statement)
        with contextlib.suppress(UnreachableError):
            client.wait(client.submit(sql, wait="30s", idempotency_key=key))
        service.process.wait(60)
    assert service.process.returncode == -9, "it died at the point, of nothing else"
    return key


def resumed(service: Service, key: str, sql: str) -> str:
    """The end of the statement after the restart, found by asking again with its key."""
    with service.client() as client:
        statement = client.wait(client.submit(sql, wait="30s", idempotency_key=key))
        assert statement.bill == statement.price
        found = [item for item in client.statements() if item["id"] == statement.id]
        assert len(found) == 1
        return statement.state


@pytest.mark.parametrize("point", READ_POINTS)
def test_query_ends_once_after_a_crash(starter: Starter, tmp_path: Path, point: str) -> None:
    home, sql = tmp_path / "home", "SELECT count(*) AS n FROM range(100000)"
    key = crashing(starter, home, point, sql)
    again = starter(home, environment=LEASE)
    again.await_ready()
    assert resumed(again, key, sql) == "finished"
    with again.client() as client:
        statements = list(client.statements())
        assert len(statements) == 1, "the same key is the same statement"
        assert client.query(sql)["n"].to_pylist() == [100000]
    assert again.stop() == 0
    assert of_home(home) == []


@pytest.mark.parametrize("point", WRITE_POINTS)
def test_insert_is_applied_once_after_a_crash(starter: Starter, tmp_path: Path, point: str) -> None:
    home, sql = tmp_path / "home", "INSERT INTO default.seen SELECT 1 AS n"
    key = crashing(starter, home, point, sql, "CREATE TABLE default.seen AS SELECT 0 AS n")
    again = starter(home, environment=LEASE)
    again.await_ready()
    assert resumed(again, key, sql) == "finished"
    with again.client() as client:
        assert sorted(client.query("SELECT n FROM default.seen")["n"].to_pylist()) == [0, 1]
    assert again.stop() == 0
    assert of_home(home) == []


def test_cancelled_statement_stays_cancelled_after_a_crash(
    starter: Starter, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    service = starter(home, environment=LEASE | {VARIABLE: "before_cancelled"})
    service.await_ready()
    with Client(service.url, service.token, patient=False) as client:
        statement = client.submit(SLOW, wait="0s")
        running = lambda: client.statement(statement.id).state == "running"  # noqa: E731
        assert await_that(running, seconds=30)
        with contextlib.suppress(UnreachableError):
            client.cancel(statement.id)
        service.process.wait(60)
    again = starter(home)
    again.await_ready()
    with again.client() as client:
        assert client.wait(client.statement(statement.id)).state == "cancelled"
    assert again.stop() == 0
    assert of_home(home) == []


#: Minutes of work on one core, without any table.
SLOW = """
SELECT count(*) FROM range(200000) a CROSS JOIN range(200000) b
WHERE (a.id * 31 + b.id * 17) % 1000003 = 5"""


def test_engine_that_is_killed_costs_an_attempt(starter: Starter, tmp_path: Path) -> None:
    service = starter(tmp_path / "home")
    service.await_ready()
    with service.client() as client:
        client.run("SELECT 1")
        statement = client.submit(SLOW, wait="0s")
        assert await_that(lambda: client.statement(statement.id).state == "running", seconds=30)
        pause(0.5)
        engines = engines_of(service)
        assert engines
        for engine in engines:
            engine.kill()

        def retried() -> bool:
            seen = client.statement(statement.id)
            states = [step["state"] for step in seen.raw["history"]]
            return seen.state == "running" and states.count("running") > 1

        assert await_that(retried, seconds=30)
        assert client.wait(client.cancel(statement.id)).state == "cancelled"


def test_second_service_on_the_same_home_is_refused(starter: Starter, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = starter(home)
    first.await_ready()
    second = starter(home)
    assert second.process.wait(60) not in {0, -9}
    assert str(home) in second.log.read_text()
    with first.client() as client:
        assert client.run("SELECT 1").state == "finished"


def test_busy_port_is_told(starter: Starter, tmp_path: Path) -> None:
    first = starter(tmp_path / "one")
    first.await_ready()
    port = int(first.url.rsplit(":", 1)[1])
    second = starter(tmp_path / "two", port=port)
    assert second.process.wait(60) not in {0, -9}
    assert str(port) in second.log.read_text()
    assert "Traceback" not in second.log.read_text()


def test_stop_hands_a_running_statement_to_the_next_start(starter: Starter, tmp_path: Path) -> None:
    home = tmp_path / "home"
    service = starter(home, environment={"DLI_GRACE": "1s"})
    service.await_ready()
    with service.client() as client:
        statement = client.submit(SLOW, wait="0s")
        assert await_that(lambda: client.statement(statement.id).state == "running", seconds=30)
    assert service.stop() == 0
    assert of_home(home) == []
    again = starter(home)
    again.await_ready()
    with again.client() as client:
        running = lambda: client.statement(statement.id).state == "running"  # noqa: E731
        assert await_that(running, seconds=60)
        assert client.wait(client.cancel(statement.id)).state == "cancelled"


def test_unknown_setting_is_told(starter: Starter, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dli.toml").write_text("porrt = 1\n")
    service = starter(home)
    assert service.process.wait(60) == 2
    assert "porrt" in service.log.read_text()


def engines_of(service: Service) -> list[psutil.Process]:
    """Its child processes that listen for engine clients."""
    engines = []
    for process in service.children():
        try:
            if any(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp")):
                engines.append(process)
        except psutil.NoSuchProcess:
            continue
    return engines
