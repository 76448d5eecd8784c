"""Writes happen once or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.lifecycle.states import JobState
from jobs.service import JobView
from tests.support.replicas import Replica, start_replica

pytestmark = pytest.mark.xdist_group("statements")


@pytest.fixture
def replica(tmp_path: Path, database_url: str) -> Iterator[Replica]:
    with start_replica(tmp_path, database_url) as made:
        yield made


def failed(view: JobView) -> str:
    """The code of a statement that failed."""
    assert view.job.state is JobState.FAILED, view.job.state
    assert view.job.failure is not None
    return view.job.failure.code


def test_a_table_is_made_filled_and_replaced(replica: Replica) -> None:
    made = replica.run("CREATE TABLE t AS SELECT id AS n, 'a' AS w FROM range(3)")
    assert replica.rows(made) == [{"num_affected_rows": 3}]
    added = replica.run("INSERT INTO t VALUES (10, 'b'), (11, NULL)")
    assert replica.rows(added) == [{"num_affected_rows": 2}]
    total = replica.query("SELECT sum(n) AS s, count(*) AS c FROM t")
    assert total == [{"s": 24, "c": 5}]
    replica.run("INSERT OVERWRITE t SELECT n + 1, w FROM t WHERE n < 2")
    assert replica.query("SELECT n FROM t ORDER BY n") == [{"n": 1}, {"n": 2}]
    assert replica.run("DROP TABLE t").job.state is JobState.FINISHED


def test_no_rows_are_no_files_and_a_whole_table(replica: Replica) -> None:
    made = replica.run("CREATE TABLE t AS SELECT 1 AS n WHERE false")
    assert replica.rows(made) == [{"num_affected_rows": 0}]
    assert replica.query("SELECT count(*) AS c FROM t") == [{"c": 0}]
    replica.run("INSERT INTO t SELECT 5")
    assert replica.query("SELECT n FROM t") == [{"n": 5}]


def test_if_not_exists_keeps_what_is_there(replica: Replica) -> None:
    replica.run("CREATE TABLE t AS SELECT 1 AS n")
    again = replica.run("CREATE TABLE IF NOT EXISTS t AS SELECT 2 AS n")
    assert again.job.state is JobState.FINISHED
    assert replica.query("SELECT n FROM t") == [{"n": 1}]


def test_a_write_that_fails_leaves_the_table_alone(replica: Replica) -> None:
    replica.run("CREATE TABLE t AS SELECT 1 AS n")
    view = replica.run("INSERT INTO t SELECT CAST(CAST(id AS STRING) || 'x' AS INT) FROM range(2)")
    assert view.job.state is JobState.FAILED
    assert replica.query("SELECT n FROM t") == [{"n": 1}]


def test_appends_at_the_same_time_all_count(replica: Replica) -> None:
    replica.run("CREATE TABLE t AS SELECT -1 AS n")
    jobs = [replica.submit(f"INSERT INTO t SELECT {number}") for number in range(8)]
    assert all(replica.await_end(job).job.state is JobState.FINISHED for job in jobs)
    found = replica.query("SELECT n FROM t ORDER BY n")
    assert [row["n"] for row in found] == list(range(-1, 8))


def test_of_two_tables_of_one_name_one_is_made(replica: Replica) -> None:
    both = threading.Barrier(2)
    ended: list[JobView] = []

    def make(number: int) -> None:
        both.wait()
        ended.append(replica.run(f"CREATE TABLE t AS SELECT {number} AS n"))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(view.job.state.value for view in ended) == ["failed", "finished"]
    (loser,) = [view for view in ended if view.job.state is JobState.FAILED]
    assert failed(loser) in ("table_exists", "table_changed"), "by whoever noticed first"
    assert len(replica.query("SELECT n FROM t")) == 1
