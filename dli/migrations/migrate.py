"""Bring a metadata database to the schema of this code, whoever else starts at the same time."""

from __future__ import annotations

from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.util import CommandError

from dli.migrations.current import head, schema_version
from storage.base.errors import BrokenError
from storage.meta.database import Database

_FOLDER = Path(__file__).parent


class SchemaTooNewError(BrokenError):
    """The database was migrated by a later version of the service."""

    code = "schema_too_new"


def upgrade(database: Database) -> None:
    """Apply what is missing, in one transaction: all of it or nothing.

    Replicas that start together take turns. Raises ``SchemaTooNewError``.
    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    try:
        with database.transaction() as tx:
            database.lock(tx, "migrations")
            config.attributes["connection"] = tx
            alembic.command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaTooNewError(
            f"the metadata database has the schema {schema_version(database)}, which this version "
            f"of the service does not know; it knows {head()}",
            hint="start the version that was used last, or a later one",
        ) from error
