"""The migrated schema is the declared one, on both databases, whoever migrates when."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import CheckConstraint, TextClause, inspect, text
from sqlalchemy.engine import make_url

from dli.migrations.current import (
    FLOOR,
    SchemaTooNewError,
    SchemaTooOldError,
    ensure_schema,
    head,
    oldest_told,
    schema_version,
)
from dli.migrations.migrate import oldest_beside, upgrade
from dli.tables import METADATA
from storage.meta.database import Database

Make = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def make_empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Databases without any table."""
    with ExitStack() as stack:
        numbers = count()

        def make() -> Database:
            if request.param == "postgresql":
                return stack.enter_context(_on_server(request.getfixturevalue("postgres_url")))
            database = Database(f"sqlite:///{tmp_path / f'empty-{next(numbers)}.db'}")
            stack.callback(database.close)
            return database

        yield make


@pytest.fixture
def empty(make_empty: Make) -> Database:
    """A database without any table."""
    return make_empty()


@contextmanager
def _on_server(url: str) -> Iterator[Database]:
    server = make_url(url).set(drivername="postgresql")
    name = f"empty_{uuid.uuid4().hex}"
    with psycopg.connect(
        server.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        database = Database(server.set(database=name).render_as_string(hide_password=False))
        yield database
        database.close()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_the_migrated_schema_is_the_declared_one(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as tx:
        options = {
            "compare_server_default": True,
            "include_name": lambda name, _type, _parents: name != FLOOR,
        }
        differences = compare_metadata(MigrationContext.configure(tx, opts=options), METADATA)
    assert differences == []


def test_every_check_is_migrated(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as tx:
        for table in METADATA.sorted_tables:
            declared = {
                check.name for check in table.constraints if isinstance(check, CheckConstraint)
            }
            found = {check["name"] for check in inspect(tx).get_check_constraints(table.name)}
            assert {str(name) for name in declared} <= {str(name) for name in found}, table.name


def test_a_new_database_is_as_a_migrated_one(make_empty: Make) -> None:
    new, migrated = make_empty(), make_empty()
    ensure_schema(new)
    upgrade(migrated)
    assert described(new) == described(migrated)


def test_what_is_no_empty_database_is_migrated(empty: Database) -> None:
    with empty.transaction() as tx:
        tx.execute(text("CREATE TABLE of_somebody (id INTEGER)"))
    ensure_schema(empty)
    with empty.read() as tx:
        assert inspect(tx).has_table("of_somebody")
        assert inspect(tx).has_table("jobs")


def described(database: Database) -> dict[str, object]:
    """Everything that the database says of its tables, in an order of our own."""
    with database.read() as tx:
        seen = inspect(tx)
        return {
            table: {
                "columns": {
                    column["name"]: {**column, "type": str(column["type"])}
                    for column in seen.get_columns(table)
                },
                "key": seen.get_pk_constraint(table),
                **{
                    kind: sorted(str(_plain(each)) for each in getattr(seen, f"get_{kind}")(table))
                    for kind in ("foreign_keys", "indexes", "unique_constraints")
                },
                "checks": sorted(str(each["name"]) for each in seen.get_check_constraints(table)),
                "revision": [
                    list(row)
                    for row in tx.execute(text(f"SELECT * FROM {table}"))
                    if table in ("alembic_version", FLOOR)
                ],
            }
            for table in seen.get_table_names()
        }


def _plain(value: object) -> object:
    """With the conditions of indexes as text."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return str(value) if isinstance(value, TextClause) else value


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as tx:
        tx.execute(text("INSERT INTO projects (id, created_at) VALUES ('p', 0)"))
    upgrade(empty)
    with empty.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM projects")).scalar() == 1


@pytest.mark.parametrize("bring", [upgrade, ensure_schema])
def test_replicas_that_start_together_take_turns(
    empty: Database, bring: Callable[[Database], None]
) -> None:
    done: list[int] = []
    start = threading.Barrier(4)

    def replica() -> None:
        start.wait()
        bring(empty)
        done.append(1)

    threads = [threading.Thread(target=replica) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    with empty.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1


def test_a_newer_schema_is_refused(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError, match="9999"):
        upgrade(empty)


@pytest.mark.parametrize("migrate", [True, False])
def test_a_later_schema_that_goes_with_us_is_left_as_it_is(empty: Database, migrate: bool) -> None:
    upgrade(empty)
    make_later(empty, oldest=head())
    ensure_schema(empty, migrate=migrate)
    upgrade(empty)
    assert schema_version(empty) == "9999"


@pytest.mark.parametrize("migrate", [True, False])
def test_a_later_schema_that_rules_us_out_is_refused(empty: Database, migrate: bool) -> None:
    upgrade(empty)
    make_later(empty, oldest="9998")
    with pytest.raises(SchemaTooNewError, match="9999"):
        ensure_schema(empty, migrate=migrate)
    with pytest.raises(SchemaTooNewError, match="9999"):
        upgrade(empty)


def test_a_floor_of_another_version_says_nothing(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        assert tx.execute(text(f"SELECT version_num FROM {FLOOR}")).scalar() == head()
    with pytest.raises(SchemaTooNewError, match="9999"):
        ensure_schema(empty)


def test_a_start_that_is_not_to_migrate_refuses_an_old_schema(empty: Database) -> None:
    with pytest.raises(SchemaTooOldError, match=f"no schema.* needs {head()}"):
        ensure_schema(empty, migrate=False)
    assert schema_version(empty) is None
    upgrade(empty)
    with empty.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(SchemaTooOldError, match=f"schema 0001.* needs {head()}"):
        ensure_schema(empty, migrate=False)


@pytest.mark.parametrize(
    ("said", "oldest"),
    [
        ({}, "0003"),
        ({"0003": "0002"}, "0002"),
        ({"0003": "0001"}, "0002"),  # the second says nothing, so it rules out the first
        ({"0002": "0001", "0003": "0001"}, "0001"),
    ],
)
def test_the_oldest_code_is_what_no_migration_rules_out(
    tmp_path: Path, said: dict[str, str], oldest: str
) -> None:
    (tmp_path / "versions").mkdir()
    before: str | None = None
    for name in ("0001", "0002", "0003"):
        lines = [f"revision = {name!r}", f"down_revision = {before!r}"]
        lines += [f"oldest = {said[name]!r}"] if name in said else []
        (tmp_path / "versions" / f"{name}_x.py").write_text("\n".join(lines))
        before = name
    assert oldest_beside(ScriptDirectory(str(tmp_path))) == oldest
    assert oldest_told(tmp_path / "versions") == oldest


def make_later(database: Database, *, oldest: str) -> None:
    """As a version of the service leaves it that has a migration of its own, 9999."""
    with database.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        tx.execute(text(f"UPDATE {FLOOR} SET version_num = '9999', oldest = :o"), {"o": oldest})
