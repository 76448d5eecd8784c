"""Bring a metadata database to the schema of this code, whoever else starts at the same time."""

from __future__ import annotations

from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import inspect, text

import dli.tables as registered
from storage.base.errors import BrokenError
from storage.meta.database import Database, Tx

_FOLDER = Path(__file__).parent


class SchemaTooNewError(BrokenError):
    """The database was migrated by a later version of the service."""

    code = "schema_too_new"


def upgrade(database: Database) -> None:
    """Apply what is missing, in one transaction: all of it or nothing.

    Replicas that start together take turns. Raises ``SchemaTooNewError``.
    """
    config = _config()
    head = ScriptDirectory.from_config(config).get_current_head()
    with database.read() as tx:
        if _version(tx) == head:
            return
    with database.transaction() as tx:
        database.lock(tx, "migrations")
        config.attributes["connection"] = tx
        try:
            alembic.command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaTooNewError(
                f"the metadata database has the schema {_version(tx)}, which this version of the "
                f"service does not know; it knows {head}",
                hint="start the version that was used last, or a later one",
            ) from error


def _version(tx: Tx) -> str | None:
    if not inspect(tx).has_table("alembic_version"):
        return None
    found: str | None = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _config() -> Config:
    assert registered.METADATA.tables
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
