"""Cancel and timeout: said only when the work has stopped, whatever the engine does about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Row, update

from jobs.cancelling import Cancelling
from jobs.lifecycle.job import CancelReason
from jobs.lifecycle.states import JobState
from jobs.service import JobMissingError
from jobs.store.rows import jobs
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx
from tests.support.jobs import PROJECT
from tests.support.replicas import ENDLESS, FAST, Replica, start_replica
from tests.support.runs import hold

pytestmark = pytest.mark.xdist_group("statements")

#: Seconds of work that lets the engine answer meanwhile, as ``ENDLESS`` may not on a busy machine:
#: an engine that is silent is killed, and then all that it does is done again.
LONG = "SELECT sum(id) AS s FROM range(20000000000)"


@pytest.fixture
def replica(tmp_path: Path, database_url: str) -> Iterator[Replica]:
    with start_replica(tmp_path, database_url) as made:
        yield made


def engine_of(replica: Replica) -> psutil.Process:
    """The process of the only engine."""
    (view,) = replica.parts.pool.views()
    pid = replica.parts.launcher.status(view.run_id).pid
    assert pid is not None
    return psutil.Process(pid)


def running(replica: Replica, sql: str, **changes: object) -> JobId:
    """A statement that runs now."""
    job_id = replica.submit(sql, **changes)
    replica.await_state(job_id, JobState.RUNNING)
    return job_id


def quiet(process: psutil.Process) -> bool:
    """Whether the process computes nothing, or is gone."""
    try:
        return process.cpu_percent(0.5) < 40
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    "sql",
    [
        ENDLESS,
        "SELECT sum(pow(a.id % 7, 3) * b.id) AS s FROM range(3000000) a, range(3000) b",
        "SELECT a.id, b.id FROM range(100000) a, range(100000) b WHERE a.id > b.id",
    ],
    ids=["cross_join", "aggregation", "endless_rows"],
)
def test_a_cancelled_statement_has_stopped(replica: Replica, sql: str) -> None:
    job_id = running(replica, sql)
    engine = engine_of(replica)
    assert replica.service.cancel(PROJECT, job_id).job.state is not JobState.RUNNING
    view = replica.await_end(job_id, seconds=20)
    assert view.job.state is JobState.CANCELLED
    assert quiet(engine), "cancelled is said after the work ended"
    assert (view.job.cancel_reason, view.job.failure) == (CancelReason.REQUESTED, None)
    kinds = [event.kind for event in view.history]
    assert kinds == ["submitted", "claimed", "started", "cancel_requested", "stopped"]
    assert replica.query("SELECT 1 AS one") == [{"one": 1}]


def test_a_deaf_engine_is_killed(replica: Replica) -> None:
    job_id = running(replica, ENDLESS)
    engine = engine_of(replica)
    hold(engine.pid)
    replica.service.cancel(PROJECT, job_id)
    view = replica.await_end(job_id, seconds=60)
    assert view.job.state is JobState.CANCELLED
    assert not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE, view.history
    assert replica.query("SELECT 1 AS one") == [{"one": 1}]


def test_a_timeout_is_a_cancel_with_a_reason(replica: Replica) -> None:
    job_id = replica.submit(ENDLESS, timeout=timedelta(seconds=2))
    view = replica.await_end(job_id, seconds=20)
    assert view.job.state is JobState.CANCELLED
    assert view.job.cancel_reason is CancelReason.TIMEOUT
    assert view.job.failure is not None
    assert view.job.failure.code == "statement_timeout"


def test_cancel_while_the_engine_starts(replica: Replica) -> None:
    job_id = replica.submit(ENDLESS)
    replica.service.cancel(PROJECT, job_id)
    assert replica.await_end(job_id, seconds=20).job.state is JobState.CANCELLED


def test_cancel_twice_and_after_the_end_changes_nothing(replica: Replica) -> None:
    job_id = running(replica, ENDLESS)
    for _ in range(3):
        replica.service.cancel(PROJECT, job_id)
    view = replica.await_end(job_id, seconds=20)
    assert replica.service.cancel(PROJECT, job_id).job == view.job
    finished = replica.run("SELECT 1 AS one")
    assert replica.service.cancel(PROJECT, finished.job.id).job == finished.job


def test_another_project_ends_nothing_that_runs(replica: Replica) -> None:
    job_id = running(replica, LONG)
    with pytest.raises(JobMissingError):
        replica.service.cancel(ProjectId("other"), job_id)
    assert replica.view(job_id).job.state is JobState.RUNNING
    replica.service.cancel(PROJECT, job_id)
    replica.await_end(job_id, seconds=20)


def test_others_on_the_engine_go_on(replica: Replica) -> None:
    first = running(replica, LONG)
    second = running(replica, LONG)
    replica.service.cancel(PROJECT, first)
    assert replica.await_end(first, seconds=20).job.state is JobState.CANCELLED
    view = replica.view(second)
    assert view.job.state in (JobState.RUNNING, JobState.FINISHED)
    assert view.job.attempt == 1, view.history
    replica.service.cancel(PROJECT, second)
    replica.await_end(second, seconds=20)


def test_a_cancelled_write_leaves_nothing(replica: Replica) -> None:
    replica.run("CREATE TABLE t AS SELECT 1 AS n")
    job_id = running(replica, f"INSERT INTO t {ENDLESS.replace('count(*) AS n', 'a.id AS n')}")
    replica.service.cancel(PROJECT, job_id)
    assert replica.await_end(job_id, seconds=20).job.state is JobState.CANCELLED
    assert replica.query("SELECT n FROM t") == [{"n": 1}]


def test_a_queued_statement_is_cancelled_at_once(tmp_path: Path, database_url: str) -> None:
    nobody = replace(FAST, workers=0)
    with start_replica(tmp_path, database_url, settings=nobody) as replica:
        job_id = replica.submit("SELECT 1 AS one")
        assert replica.view(job_id).job.state is JobState.QUEUED
        view = replica.service.cancel(PROJECT, job_id)
        assert view.job.state is JobState.CANCELLED
        bill = replica.bill(job_id)
        assert bill is None or bill.amount.nanos == 0


def test_a_cancel_of_what_just_changed_is_tried_again(tmp_path: Path, database_url: str) -> None:
    nobody = replace(FAST, workers=0)
    with start_replica(tmp_path, database_url, settings=nobody) as replica:
        job_id = replica.submit("SELECT 1 AS one")
        reading = replica.service._reading
        with replica.parts.database.transaction() as tx:
            old = [reading.row(tx, PROJECT, job_id)]
            tx.execute(update(jobs).values(version=jobs.c.version + 1))

        class Late:
            """Reads first what was there before the change, as another connection may."""

            def row(self, tx: Tx, project_id: ProjectId, job_id: JobId) -> Row[Any]:
                return old.pop() if old else reading.row(tx, project_id, job_id)

        cancelling = Cancelling(
            parts=replica.parts,
            workers=replica.service._workers,
            reading=Late(),  # type: ignore[arg-type]
        )
        cancelling.cancel(PROJECT, job_id, by=None)
        assert not old
        assert replica.view(job_id).job.state is JobState.CANCELLED


def test_a_queued_statement_ends_with_its_time(tmp_path: Path, database_url: str) -> None:
    nobody = replace(FAST, workers=0)
    with start_replica(tmp_path, database_url, settings=nobody) as replica:
        job_id = replica.submit("SELECT 1 AS one", timeout=timedelta(seconds=1))
        view = replica.await_end(job_id, seconds=10)
        assert view.job.state is JobState.CANCELLED
        assert view.job.failure is not None
        assert view.job.failure.code == "statement_timeout"
