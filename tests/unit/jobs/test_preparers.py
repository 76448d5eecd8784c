"""Statements are read by children that may be slow, big or dead without harm to anybody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.preparers import Preparers, Question
from jobs.preparing.relations import Relations
from sql.errors import (
    EstimateTimeoutError,
    SqlSyntaxError,
    StatementTooDeepError,
    TableNotFoundError,
)
from sql.guard.limits import GuardLimits
from sql.statement import PreparedStatement, StatementKind
from storage.base.clock import SystemClock
from storage.catalog.catalog import Catalog
from storage.catalog.commands import CreateDatabase, CreateTable, CreateView
from storage.catalog.definitions import Column
from storage.meta.database import Database
from storage.objects.folder import FolderStore
from storage.objects.locations import Locations
from storage.tables.tables import Tables
from tests.support.jobs import PROJECT
from tests.support.runs import hold

#: Grows by two to the power of its columns when aliases are expanded: seconds of work.
CHAIN = "SELECT 1 AS x0" + "".join(f", x{n} + x{n} AS x{n + 1}" for n in range(30))


@pytest.fixture
def relations(database: Database, tmp_path: Path) -> Relations:
    """A catalog with the table ``numbers`` of two files and two views over it."""
    clock = SystemClock()
    catalog = Catalog(clock)
    tables = Tables(
        database,
        catalog,
        Locations(folders=[tmp_path], s3=None, buckets=[]),
        FolderStore(tmp_path / "warehouse"),
        clock,
    )
    folder = tmp_path / "numbers"
    folder.mkdir()
    pq.write_table(pa.table({"n": list(range(100))}), folder / "a.parquet")
    with database.transaction() as tx:
        catalog.apply(tx, PROJECT, CreateDatabase(name="default"))
    tables.create(PROJECT, CreateTable(database="default", name="numbers", location=str(folder)))
    columns = (Column(name="n", type="bigint"),)
    with database.transaction() as tx:
        for name, sql in (("v", "SELECT n FROM numbers"), ("w", "SELECT n FROM v")):
            catalog.apply(
                tx, PROJECT, CreateView(database="default", name=name, columns=columns, sql=sql)
            )
    return Relations(database=database, catalog=catalog, tables=tables, refresh_after=timedelta(0))


def _pool(relations: Relations, *, count: int = 1, seconds: float = 5) -> Preparers:
    limit = timedelta(seconds=seconds)
    return Preparers(relations=relations, count=count, limit=limit, memory=1 << 30)


@pytest.fixture
def preparers(relations: Relations) -> Iterator[Preparers]:
    pool = _pool(relations)
    yield pool
    pool.close()


def _prepare(preparers: Preparers, text: str) -> PreparedStatement:
    return preparers.prepare(
        Question(
            project_id=PROJECT,
            text=text,
            database="default",
            parameters=(),
            limits=GuardLimits(),
        )
    )


def test_a_statement_comes_back_priced(preparers: Preparers) -> None:
    prepared = _prepare(preparers, "SELECT sum(n) AS s FROM numbers")
    assert prepared.kind is StatementKind.QUERY
    assert prepared.cost is not None
    assert prepared.cost.bytes_processed > 0
    assert len(prepared.bindings) == 1


def test_files_where_the_service_was_started_are_not_its_code(
    relations: Relations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sql.py").write_text("raise SystemExit('not the package')")
    monkeypatch.chdir(tmp_path)
    pool = _pool(relations)
    try:
        assert _prepare(pool, "SELECT 1 AS a").kind is StatementKind.QUERY
    finally:
        pool.close()


def test_views_are_followed_to_their_tables(preparers: Preparers) -> None:
    direct = _prepare(preparers, "SELECT sum(n) AS s FROM numbers").cost
    through = _prepare(preparers, "SELECT sum(n) AS s FROM w").cost
    assert direct is not None
    assert through is not None
    assert through.bytes_processed == direct.bytes_processed


def test_errors_cross_with_their_place(preparers: Preparers) -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        _prepare(preparers, "SELECT 1 FROM\n WHERE")
    assert caught.value.details["line"] == 2
    with pytest.raises(TableNotFoundError) as missing:
        _prepare(preparers, "SELECT n FROM number")
    assert "numbers" in (missing.value.hint or "")


def test_a_new_file_is_seen_by_a_text_that_was_prepared_before(
    preparers: Preparers, tmp_path: Path
) -> None:
    text = "SELECT sum(n) AS s FROM numbers"
    before = _prepare(preparers, text)
    assert _prepare(preparers, text) is before, "the same text over the same files"
    pq.write_table(pa.table({"n": [1]}), tmp_path / "numbers" / "b.parquet")
    after = _prepare(preparers, text)
    assert len(after.bindings[0].files) == 2


def test_a_slow_statement_costs_nobody_else(relations: Relations) -> None:
    pool = _pool(relations, seconds=2)
    try:
        _prepare(pool, "SELECT 1 AS one")
        (slow,) = pool.pids()
        hold(slow)
        began = time.monotonic()
        with pytest.raises(EstimateTimeoutError):
            _prepare(pool, "SELECT 2 AS two")
        assert time.monotonic() - began < 15
        assert not psutil.pid_exists(slow)
        _prepare(pool, "SELECT 3 AS three")
    finally:
        pool.close()


def test_a_text_that_grows_without_bound_is_refused(preparers: Preparers) -> None:
    with pytest.raises((EstimateTimeoutError, StatementTooDeepError)):
        _prepare(preparers, CHAIN)
    _prepare(preparers, "SELECT 1 AS one")


def test_a_child_that_dies_is_replaced(preparers: Preparers) -> None:
    _prepare(preparers, "SELECT 1 AS one")
    (child,) = preparers.pids()
    os.kill(child, signal.SIGKILL)
    _prepare(preparers, "SELECT 3 AS three")
    assert preparers.pids() != (child,)


def test_threads_share_the_children(relations: Relations) -> None:
    pool = _pool(relations, count=2)
    failures: list[str] = []

    def ask(number: int) -> None:
        prepared = _prepare(pool, f"SELECT n + {number} AS m FROM v")
        if prepared.column_names != ("m",):
            failures.append(str(prepared))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    children = pool.pids()
    pool.close()
    assert failures == []
    assert len(children) == 2
    assert not any(psutil.pid_exists(pid) for pid in children)


PARENT = """
import os, signal
from datetime import timedelta
from jobs.preparing.child import Child
child = Child(limit=timedelta(seconds=1), memory=1 << 30)
print(child.pid, flush=True)
child._wait_until_ready()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_children_do_not_outlive_a_killed_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    child = int(done.stdout)
    until = time.monotonic() + 10
    while psutil.pid_exists(child) and time.monotonic() < until:
        threading.Event().wait(0.05)
    assert not psutil.pid_exists(child)
    assert "Traceback" not in done.stderr
