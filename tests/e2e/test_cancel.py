"""Cancelled means stopped: the CPU says so, not only the state."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from benchmarks.service import Service, pause
from dli.client import Client
from dli.remote.statement import Statement
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that, cpu_seconds, load_of, load_of_tasks
from tests.support.runs import hold

CROSS_JOIN = """
SELECT count(*) FROM range(200000) a CROSS JOIN range(200000) b
WHERE (a.id * 31 + b.id * 17) % 1000003 = 5"""
AGGREGATION = """
SELECT sum(digest) FROM (
  SELECT length(sha2(repeat(cast(id AS string), 20), 512)) AS digest FROM range(2000000000))"""
ENGINES = ["sail", pytest.param("spark", marks=pytest.mark.spark)]


def started(client: Client, sql: str, *, engine: str = "sail") -> Statement:
    """The statement when its engine is at work on it."""
    statement = client.submit(sql, engine=engine, wait="0s")
    assert await_that(lambda: client.statement(statement.id).state == "running", seconds=60)
    pause(1)
    return statement


@pytest.mark.parametrize("engine", ENGINES)
def test_cancelled_work_uses_no_cpu(starter: Starter, tmp_path: Path, engine: str) -> None:
    service = starter(tmp_path / "home")
    service.await_ready()
    with service.client() as client:
        for sql in (CROSS_JOIN, AGGREGATION):
            statement = started(client, sql, engine=engine)
            at_work = busiest(service)
            assert await_that(partial(works, at_work), seconds=60), "it works before"
            began = time.monotonic()
            ended = client.wait(client.cancel(statement.id))
            assert ended.state == "cancelled"
            assert time.monotonic() - began < 60
            # A young JVM compiles for seconds what ran; its tasks must have ended all the same.
            assert (load_of_tasks(at_work) if engine == "spark" else load_of([at_work])) < 0.2
            assert ended.bill is None or ended.bill.amount == 0
        assert client.run("SELECT 1", engine=engine).state == "finished"


def test_deaf_engine_is_killed(starter: Starter, tmp_path: Path) -> None:
    service = starter(tmp_path / "home")
    service.await_ready()
    with service.client() as client:
        statement = started(client, CROSS_JOIN)
        engine = busiest(service)
        hold(engine.pid)  # it hears nothing any more
        ended = client.wait(client.cancel(statement.id))
        assert ended.state == "cancelled"
        assert not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE
        assert client.run("SELECT 1").state == "finished"


def test_timeout_is_a_cancel_with_its_own_code(starter: Starter, tmp_path: Path) -> None:
    service = starter(tmp_path / "home")
    service.await_ready()
    with service.client() as client:
        statement = client.submit(CROSS_JOIN, timeout="8s", wait="0s")
        assert await_that(lambda: client.statement(statement.id).state == "running", seconds=60)
        at_work = busiest(service)
        ended = client.wait(statement)
        assert (ended.state, ended.error and ended.error.code) == ("cancelled", "statement_timeout")
        assert load_of([at_work]) < 0.2


def test_waiting_statement_is_cancelled_at_once(starter: Starter, tmp_path: Path) -> None:
    service = starter(tmp_path / "home")
    service.await_ready()
    with service.client() as client:
        client.create_queue("narrow", max_running=1)
        first = client.submit(CROSS_JOIN, queue="narrow", wait="0s")
        second = client.submit(CROSS_JOIN, queue="narrow", wait="0s")
        waiting = client.statement(second.id)
        assert waiting.state == "queued"
        assert waiting.wait is not None
        assert client.cancel(second.id).state == "cancelled"
        assert client.wait(client.cancel(first.id)).state == "cancelled"


def works(process: psutil.Process) -> bool:
    return load_of([process]) > 0.2


def is_engine(process: psutil.Process) -> bool:
    """Not one of those that prepare statements, which are busy while they start."""
    return any(
        word in ("pysail", "org.apache.spark.deploy.SparkSubmit") for word in process.cmdline()
    )


def busiest(service: Service) -> psutil.Process:
    """The child process that uses most CPU now: the engine at work.

    Not what runs at a lower priority: that records the class archive of later starts.
    """
    before = {
        process.pid: cpu_seconds([process])
        for process in service.children()
        if process.nice() <= psutil.Process().nice() and is_engine(process)
    }
    pause(1)
    return max(
        (process for process in service.children() if process.pid in before),
        key=lambda process: cpu_seconds([process]) - before[process.pid],
    )
