"""Two replicas over one PostgreSQL: either answers for all, and one outlives the other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks.service import Service, pause
from dli.client import Client
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that, of_home

TOKEN = "dli_" + "a" * 40
SECONDS_OF_WORK = "SELECT count(*) FROM range({n}) WHERE sha2(cast(id AS string), 512) = 'x'"


@pytest.fixture
def shared(postgres_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings that replicas share: an empty database, one warehouse, one token."""
    name = f"e2e_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        host, port = connection.info.host, connection.info.port
        user = connection.info.user
        assert make_conninfo(postgres_url)
        yield {
            "DLI_DATABASE_URL": f"postgresql://{user}@{host}:{port}/{name}",
            "DLI_WAREHOUSE": str(tmp_path / "warehouse"),
            "DLI_ADMIN_TOKEN": TOKEN,
            "DLI_LEASE": "3s",
        }
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def replica(starter: Starter, home: Path, shared: dict[str, str], *, role: str = "all") -> Service:
    service = starter(home, environment=shared, command=("serve", "--role", role))
    if role != "worker":  # which does not listen
        service.await_ready()
    return service


def test_either_replica_answers_for_all(
    starter: Starter, tmp_path: Path, shared: dict[str, str]
) -> None:
    one = replica(starter, tmp_path / "one", shared)
    two = replica(starter, tmp_path / "two", shared)
    with Client(one.url, TOKEN) as first, Client(two.url, TOKEN) as second:
        made = first.run("CREATE TABLE default.t AS SELECT 7 AS n")
        assert second.statement(made.id).state == "finished"
        assert second.query("SELECT n FROM default.t")["n"].to_pylist() == [7]
        key = uuid.uuid4().hex
        same = {client.submit("SELECT 8", idempotency_key=key).id for client in (first, second)}
        assert len(same) == 1
        slow = first.submit(SECONDS_OF_WORK.format(n=10**10), wait="0s")
        assert second.wait(second.cancel(slow.id)).state == "cancelled"


def test_work_of_a_killed_replica_is_taken_over(
    starter: Starter, tmp_path: Path, shared: dict[str, str]
) -> None:
    one = replica(starter, tmp_path / "one", shared)
    two = replica(starter, tmp_path / "two", shared)
    with Client(one.url, TOKEN) as first, Client(two.url, TOKEN) as second:
        first.run("CREATE TABLE default.t AS SELECT 0 AS n")
        text = SECONDS_OF_WORK.format(n=3_000_000)
        write = f"INSERT INTO default.t {text}"
        statements = [first.submit(text, wait="0s"), first.submit(write, wait="0s")]
        pause(0.3)
        one.kill()
        ended = [second.wait(statement) for statement in statements]
        assert [each.state for each in ended] == ["finished", "finished"]
        assert all(each.bill == each.price for each in ended)
        assert second.query("SELECT count(*) AS c FROM default.t")["c"].to_pylist() == [2]
        assert await_that(lambda: of_home(tmp_path / "one") == [], seconds=20)


def test_worker_runs_what_an_api_takes(
    starter: Starter, tmp_path: Path, shared: dict[str, str]
) -> None:
    api = replica(starter, tmp_path / "api", shared, role="api")
    with Client(api.url, TOKEN) as client:
        waiting = client.submit("SELECT 1", wait="0s")
        assert waiting.state == "queued"
        replica(starter, tmp_path / "worker", shared, role="worker")
        assert client.wait(waiting).state == "finished"
