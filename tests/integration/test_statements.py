"""Statements through the job service, on real databases and a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.lifecycle.states import JobState
from jobs.service import JobMissingError, JobView
from storage.base.ids import JobId, ProjectId
from tests.support.jobs import PROJECT
from tests.support.replicas import Replica, start_replica

pytestmark = pytest.mark.xdist_group("statements")


@pytest.fixture
def replica(tmp_path: Path, database_url: str) -> Iterator[Replica]:
    with start_replica(tmp_path, database_url) as made:
        yield made


def register(replica: Replica, name: str, table: pa.Table) -> Path:
    """An external table of one Parquet file."""
    folder = replica.files / name
    folder.mkdir()
    pq.write_table(table, folder / "one.parquet")
    view = replica.run(f"CREATE TABLE {name} USING parquet LOCATION '{folder}'")
    assert view.job.state is JobState.FINISHED, view.job.failure
    return folder


def kinds(view: JobView) -> list[str]:
    """What happened to the job, in order."""
    return [event.kind for event in view.history]


def test_a_query_is_told_whole(replica: Replica) -> None:
    register(replica, "numbers", pa.table({"n": list(range(1000))}))
    view = replica.run("SELECT sum(n) AS total FROM numbers", labels={"team": "a"})
    assert replica.rows(view) == [{"total": 499500}]
    assert kinds(view) == ["submitted", "claimed", "started", "result_ready", "published"]
    assert [event.version for event in view.history] == [1, 2, 3, 4, 5]
    assert view.job.engine_version == "0.7.2"
    assert view.job.statement.engine_reason == "queue default"
    assert set(view.timings) == {
        "prepare", "queue", "engine", "bind", "execute", "publish", "total",
    }  # fmt: skip
    assert view.cost is not None
    assert view.cost.bytes_processed > 0
    assert view.usage["scan.bytes"] == view.cost.bytes_processed
    assert view.usage["compute.cu_ms"] >= 1


def test_the_bill_is_the_quote(replica: Replica) -> None:
    register(replica, "numbers", pa.table({"n": list(range(100_000))}))
    view = replica.run("SELECT count(n) AS n FROM numbers")
    assert view.job.quote is not None
    assert view.job.quote.amount > 0
    bill = replica.bill(view.job.id)
    assert bill is not None
    assert bill.amount.nanos == view.job.quote.amount


def test_a_failed_statement_costs_nothing(replica: Replica) -> None:
    register(replica, "words", pa.table({"w": ["1", "x"]}))
    view = replica.run("SELECT CAST(w AS INT) AS n FROM words")
    assert view.job.state is JobState.FAILED
    assert view.job.failure is not None
    assert view.job.failure.code == "cast_invalid"
    assert view.job.attempt == 1, "the user's fault is not tried again"
    assert "scan.bytes" not in view.usage
    bill = replica.bill(view.job.id)
    assert bill is None or bill.amount.nanos == 0


def test_results_are_cut_at_the_limit_and_say_so(replica: Replica) -> None:
    view = replica.run("SELECT id FROM range(100000)", max_rows=7)
    assert len(replica.rows(view)) == 7
    assert view.manifest is not None
    assert (view.manifest.truncated, view.manifest.truncated_by) == (True, "rows")
    assert replica.query("SELECT 1 AS one") == [{"one": 1}]


def test_an_empty_result_has_its_columns(replica: Replica) -> None:
    register(replica, "numbers", pa.table({"n": [1], "w": ["a"]}))
    view = replica.run("SELECT n, w FROM numbers WHERE n > 5")
    assert replica.rows(view) == []
    assert view.manifest is not None
    assert view.manifest.schema.names == ["n", "w"]


def test_unnamed_columns_are_called_as_they_are_written(replica: Replica) -> None:
    view = replica.run("SELECT 1 + 1, count(*) FROM range(3)")
    assert view.manifest is not None
    assert len(set(view.manifest.schema.names)) == 2
    assert list(replica.rows(view)[0].values()) == [2, 3]


def test_a_big_result_is_in_objects(replica: Replica) -> None:
    view = replica.run("SELECT id, uuid() AS u FROM range(200000)")
    assert view.manifest is not None
    assert view.manifest.rows == 200_000
    assert all(chunk.key for chunk in view.manifest.chunks)
    assert len({row["id"] for row in replica.rows(view)}) == 200_000


def test_tables_that_changed_are_looked_at_again(replica: Replica) -> None:
    folder = register(replica, "numbers", pa.table({"n": [1]}))
    assert replica.query("SELECT sum(n) AS s FROM numbers") == [{"s": 1}]
    pq.write_table(pa.table({"n": [10]}), folder / "two.parquet")
    assert replica.query("SELECT sum(n) AS s FROM numbers") == [{"s": 11}]


def test_files_that_are_gone_are_the_users_business(replica: Replica) -> None:
    folder = register(replica, "numbers", pa.table({"n": [1]}))
    (folder / "one.parquet").unlink()
    with pytest.raises(Exception, match="gone") as caught:
        replica.submit("SELECT sum(n) AS s FROM numbers")
    assert getattr(caught.value, "code", "") == "table_files_gone"


def test_another_projects_statement_is_not_there(replica: Replica) -> None:
    view = replica.run("SELECT 1 AS one")
    other = ProjectId("other")
    for ask in (replica.service.get, replica.service.cancel, replica.service.manifest):
        with pytest.raises(JobMissingError):
            ask(other, view.job.id)
    with pytest.raises(JobMissingError):
        replica.service.events(other, view.job.id)
    with pytest.raises(JobMissingError):
        replica.service.delete_result(other, view.job.id)
    with pytest.raises(JobMissingError):
        replica.service.get(PROJECT, JobId("stm_none"))


def test_a_deleted_result_leaves_the_job(replica: Replica) -> None:
    view = replica.run("SELECT 1 AS one")
    replica.service.delete_result(PROJECT, view.job.id)
    replica.service.delete_result(PROJECT, view.job.id)
    again = replica.view(view.job.id)
    assert again.job.state is JobState.FINISHED
    assert again.manifest is None


def test_the_catalog_answers_without_an_engine(replica: Replica) -> None:
    register(replica, "numbers", pa.table({"n": [1], "w": ["a"]}))
    assert replica.query("SHOW DATABASES") == [{"namespace": "default"}]
    tables = [{"namespace": "default", "tableName": "numbers", "isTemporary": False}]
    assert replica.query("SHOW TABLES") == tables
    assert replica.query("SHOW TABLES LIKE 'x*'") == []
    described = replica.query("DESCRIBE numbers")
    assert [(row["col_name"], row["data_type"]) for row in described] == [
        ("n", "bigint"),
        ("w", "string"),
    ]
    shown = replica.query("SHOW CREATE TABLE numbers")[0]["createtab_stmt"]
    assert shown.startswith("CREATE TABLE `default`.`numbers` (")
    view = replica.run("EXPLAIN SELECT n FROM numbers")
    assert any("numbers" in row["plan"] for row in replica.rows(view))
    assert view.job.statement.engine is None
    assert view.job.quote is not None
    assert view.job.quote.amount == 0
    assert replica.parts.pool.counts().started == 0


def test_ddl_takes_effect_with_its_end(replica: Replica) -> None:
    for sql in ("CREATE DATABASE sales", "CREATE VIEW sales.v AS SELECT 7 AS n"):
        assert replica.run(sql).job.state is JobState.FINISHED
    assert replica.query("SELECT n FROM sales.v") == [{"n": 7}]
    failed = replica.run("CREATE DATABASE sales")
    assert failed.job.failure is not None
    assert failed.job.failure.code == "database_exists"
    assert replica.run("DROP DATABASE sales CASCADE").job.state is JobState.FINISHED


def test_the_database_of_names_without_one_stays(replica: Replica) -> None:
    failed = replica.run("DROP DATABASE IF EXISTS Default CASCADE")
    assert failed.job.failure is not None
    assert failed.job.failure.code == "default_database"
    assert replica.query("SHOW TABLES") == []
