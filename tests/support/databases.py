"""The ``database`` fixture: every store test runs on SQLite and on PostgreSQL.

The schema is created once a test process (all modules are imported by then, so ``METADATA`` is
whole); each test gets a copy of the SQLite file, or the PostgreSQL database with emptied tables.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from storage.meta.database import Database
from storage.meta.schema import METADATA


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the whole schema and no rows; copied, never opened again."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = Database(f"sqlite:///{path}")
    with database.transaction() as tx:
        METADATA.create_all(tx)
    database.close()
    return path


@pytest.fixture(scope="session")
def postgres_schema_url(postgres_url: str) -> Iterator[str]:
    """A PostgreSQL database of this test process alone, with the whole schema."""
    server = make_url(postgres_url).set(drivername="postgresql")
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(
        server.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = server.set(database=name).render_as_string(hide_password=False)
        database = Database(url)
        with database.transaction() as tx:
            METADATA.create_all(tx)
        database.close()
        yield url
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty metadata database with its schema, for tests of several replicas."""
    if request.param == "sqlite":
        path = tmp_path / "meta.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("postgres_schema_url")
    database = Database(url)
    with database.transaction() as tx:
        METADATA.create_all(tx)  # for tables that a module declared since
        for table in reversed(METADATA.sorted_tables):
            tx.execute(table.delete())
    database.close()
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty metadata database with its schema, on both kinds of server in turn."""
    database = Database(database_url)
    yield database
    database.close()
