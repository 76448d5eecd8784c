"""Whether a database has the schema of this code: a look that most starts end with.

What migrates is loaded only where there is something to do: it would take a tenth of a start.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from sqlalchemy import inspect, text

from storage.meta.database import Database

_VERSIONS = Path(__file__).with_name("versions")


def head() -> str:
    """The newest revision, by the names of the files."""
    return max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


def schema_version(database: Database) -> str | None:
    """The revision that a database has, None for an empty one."""
    with database.read() as tx:
        if not inspect(tx).has_table("alembic_version"):
            return None
        found: str | None = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def ensure_schema(database: Database) -> None:
    """Migrate a database that is not at ``head``; raises ``SchemaTooNewError``."""
    if schema_version(database) != head():
        importlib.import_module("dli.migrations.migrate").upgrade(database)
