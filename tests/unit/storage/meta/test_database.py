"""Promises of transactions, kept by both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import BigInteger, Column, MetaData, String, Table, func, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.meta.database import (
    Database,
    DatabaseBrokenError,
    DatabaseFullError,
    DatabaseUnavailableError,
    InvalidDatabaseUrlError,
    Tx,
)
from storage.meta.types import NotStorableError

COUNTERS = Table(
    "probe_counters",
    MetaData(),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)


@pytest.fixture
def counters(database: Database) -> Iterator[Database]:
    """The database with one counter at 0."""
    with database.transaction() as tx:
        COUNTERS.create(tx)
        tx.execute(COUNTERS.insert().values(id=1, value=0))
    yield database
    with database.transaction() as tx:
        COUNTERS.drop(tx)


def value(tx: Tx) -> int:
    found: int = tx.execute(select(COUNTERS.c.value)).scalar_one()
    return found


def test_a_block_that_ends_is_committed(counters: Database) -> None:
    with counters.transaction() as tx:
        tx.execute(update(COUNTERS).values(value=7))
    with counters.read() as tx:
        assert value(tx) == 7


def test_a_block_that_raises_leaves_nothing(counters: Database) -> None:
    with pytest.raises(KeyError), counters.transaction() as tx:  # noqa: PT012
        tx.execute(update(COUNTERS).values(value=7))
        raise KeyError
    with counters.read() as tx:
        assert value(tx) == 0


def test_schema_changes_are_part_of_the_transaction(counters: Database) -> None:
    with pytest.raises(KeyError), counters.transaction() as tx:  # noqa: PT012
        tx.execute(text("CREATE TABLE probe_other (id BIGINT)"))
        raise KeyError
    with counters.transaction() as tx:
        tx.execute(text("CREATE TABLE probe_other (id BIGINT)"))
        tx.execute(text("DROP TABLE probe_other"))


def test_nested_transactions_are_a_mistake(counters: Database) -> None:
    with counters.transaction(), pytest.raises(RuntimeError), counters.read():
        pass
    with counters.read(), pytest.raises(RuntimeError), counters.transaction():
        pass
    with counters.read() as tx:
        assert value(tx) == 0


def test_a_reader_keeps_its_snapshot_while_another_writes(counters: Database) -> None:
    def write() -> None:
        with counters.transaction() as tx:
            tx.execute(update(COUNTERS).values(value=9))

    with counters.read() as tx:
        assert value(tx) == 0
        with ThreadPoolExecutor() as threads:
            threads.submit(write).result(timeout=20)
        assert value(tx) == 0
    with counters.read() as tx:
        assert value(tx) == 9


@pytest.mark.parametrize("text_", ["a NUL \0 within", "x" * 300])
def test_what_a_column_cannot_hold_is_bad_input(database: Database, text_: str) -> None:
    labels = Table("probe_labels", MetaData(), Column("value", String(256)))
    with database.transaction() as tx:
        labels.create(tx)
    if database.dialect == "postgresql":
        with pytest.raises(NotStorableError), database.transaction() as tx:
            tx.execute(labels.insert().values(value=text_))
    with database.transaction() as tx:
        tx.execute(labels.insert().values(value="plain"))
        labels.drop(tx)


def test_a_reader_cannot_write(counters: Database) -> None:
    with pytest.raises((DBAPIError, DatabaseUnavailableError)), counters.read() as tx:
        tx.execute(update(COUNTERS).values(value=1))
    with counters.read() as tx:
        assert value(tx) == 0


def test_concurrent_writers_lose_no_step(counters: Database) -> None:
    def step(_: int) -> None:
        with counters.transaction() as tx:
            tx.execute(update(COUNTERS).values(value=COUNTERS.c.value + 1))

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(step, range(240)))
    with counters.read() as tx:
        assert value(tx) == 240


def test_a_lock_lets_one_in_at_a_time(counters: Database) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> None:
        with counters.transaction() as tx:
            counters.lock(tx, "door")
            inside.append(number)
            most.append(len(inside))
            tx.execute(select(func.count()).select_from(COUNTERS))
            inside.remove(number)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(enter, range(60)))
    assert max(most) == 1


def test_a_violated_constraint_is_the_callers_to_handle(counters: Database) -> None:
    with pytest.raises(IntegrityError), counters.transaction() as tx:
        tx.execute(COUNTERS.insert().values(id=1, value=0))
    with counters.read() as tx:
        assert value(tx) == 0


def test_two_instances_see_each_others_rows(counters: Database, database_url: str) -> None:
    other = Database(database_url)
    with other.transaction() as tx:
        tx.execute(update(COUNTERS).values(value=3))
    other.close()
    with counters.read() as tx:
        assert value(tx) == 3


def test_connections_are_kept_for_the_next_transaction(counters: Database) -> None:
    seen = set()
    for _ in range(5):
        with counters.read() as tx:
            seen.add(id(tx))
    assert len(seen) == 1


def test_killed_connections_are_replaced_unnoticed(postgres_schema_url: str) -> None:
    database = Database(postgres_schema_url)
    with database.read() as tx:
        mine = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with psycopg.connect(postgres_schema_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [mine])
    with database.transaction() as tx:
        assert tx.execute(text("SELECT pg_backend_pid()")).scalar_one() != mine
    database.close()


def test_a_connection_killed_in_a_transaction_is_told_and_dropped(postgres_schema_url: str) -> None:
    database = Database(postgres_schema_url)
    with pytest.raises(DatabaseUnavailableError), database.transaction() as tx:  # noqa: PT012
        mine = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(postgres_schema_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [mine])
        tx.execute(text("SELECT 1"))
    with database.read() as tx:
        assert tx.execute(text("SELECT 1")).scalar_one() == 1
    database.close()


def test_a_server_that_is_away_is_told_without_the_password() -> None:
    database = Database("postgresql://me:geheim@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailableError) as caught, database.read():
        pass
    assert "geheim" not in caught.value.message
    assert "geheim" not in repr(database.url)
    assert "127.0.0.1:1" in caught.value.message


def test_a_sqlite_file_that_is_no_database_is_told(tmp_path_url: str) -> None:
    database = Database(tmp_path_url)
    with pytest.raises(DatabaseBrokenError), database.read():
        pass


@pytest.fixture
def tmp_path_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("broken") / "meta.db"
    path.write_bytes(b"this is not a database at all, and long enough to be read as a page" * 99)
    return f"sqlite:///{path}"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://h/d", "no url"])
def test_urls_that_cannot_serve_are_refused(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrlError):
        Database(url)


def test_all_connections_lent_makes_the_next_wait(counters: Database, database_url: str) -> None:
    small = Database(database_url, limit=2)
    entered, leave = threading.Barrier(3), threading.Event()

    def look() -> int:
        with small.read() as tx:
            return value(tx)

    def hold() -> None:
        with small.read():
            entered.wait(60)
            leave.wait(60)

    with ThreadPoolExecutor() as threads:
        held = [threads.submit(hold) for _ in range(2)]
        entered.wait(60)
        third = threads.submit(look)
        with pytest.raises(TimeoutError):
            third.result(0.1)
        leave.set()
        for one in held:
            one.result(20)
        assert third.result(20) == 0
    small.close()


def test_the_url_given_in_any_spelling_reaches_psycopg() -> None:
    for spelling in ("postgres", "postgresql", "postgresql+psycopg"):
        database = Database(f"{spelling}://h/d")
        assert database.dialect == "postgresql"
        assert make_url(str(database.url)).drivername == "postgresql+psycopg"


def test_a_full_disk_is_told_and_leaves_the_rows_as_they_were(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'm.db'}")
    with database.transaction() as tx:
        COUNTERS.create(tx)
        tx.exec_driver_sql("PRAGMA max_page_count = 20")
    many = [{"id": number, "value": number} for number in range(50_000)]
    with pytest.raises(DatabaseFullError, match="full"), database.transaction() as tx:
        tx.execute(COUNTERS.insert(), many)
    with database.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(COUNTERS)).scalar_one() == 0
        tx.execute(COUNTERS.insert().values(id=1, value=0))
    database.close()


def test_a_mistake_in_a_statement_is_no_failure_of_the_database(counters: Database) -> None:
    with pytest.raises(DBAPIError), counters.read() as tx:
        tx.execute(text("SELECT nothing FROM nowhere"))
    with counters.read() as tx:
        assert value(tx) == 0
