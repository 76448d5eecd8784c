"""The migrated schema is the declared one, on both databases, whoever migrates when."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.engine import make_url

from dli.migrations.migrate import SchemaTooNewError, upgrade
from dli.tables import METADATA
from storage.meta.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
        yield database
        database.close()
        return
    server = make_url(request.getfixturevalue("postgres_url")).set(drivername="postgresql")
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
        differences = compare_metadata(
            MigrationContext.configure(tx, opts={"compare_server_default": True}), METADATA
        )
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


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as tx:
        tx.execute(text("INSERT INTO projects (id, created_at) VALUES ('p', 0)"))
    upgrade(empty)
    with empty.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM projects")).scalar() == 1


def test_replicas_that_start_together_take_turns(empty: Database) -> None:
    done: list[int] = []
    start = threading.Barrier(4)

    def replica() -> None:
        start.wait()
        upgrade(empty)
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
