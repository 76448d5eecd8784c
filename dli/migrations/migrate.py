"""Bring a metadata database to the schema of this code, whoever else starts at the same time."""

from __future__ import annotations

from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from dli.migrations.current import FLOOR, goes_with, head, too_new, version_in
from storage.meta.database import Database, Tx

_FOLDER = Path(__file__).parent


def upgrade(database: Database) -> None:
    """Apply what is missing, in one transaction: all of it or nothing.

    Replicas that start together take turns. A later schema that this code can run on is left as it
    is; for another one it raises ``SchemaTooNewError``.
    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    with database.transaction() as tx:
        database.lock(tx, "migrations")
        found = version_in(tx)
        if found is not None and found > head():
            if goes_with(tx, found):
                return
            raise too_new(found)
        config.attributes["connection"] = tx
        alembic.command.upgrade(config, "head")
        _keep_floor(tx, oldest_beside(ScriptDirectory.from_config(config)))


def oldest_beside(scripts: ScriptDirectory) -> str:
    """The oldest schema whose code runs on the newest one: what no migration rules out.

    A migration that says nothing of an ``oldest`` rules out all code that does not know it.
    """
    revisions = list(scripts.walk_revisions())
    return max(getattr(each.module, "oldest", each.revision) for each in revisions)


def _keep_floor(tx: Tx, oldest: str) -> None:
    columns = "version_num VARCHAR(32) NOT NULL, oldest VARCHAR(32) NOT NULL"
    tx.execute(text(f"CREATE TABLE IF NOT EXISTS {FLOOR} ({columns})"))
    tx.execute(text(f"DELETE FROM {FLOOR}"))  # noqa: S608  the name is ours
    tx.execute(
        text(f"INSERT INTO {FLOOR} (version_num, oldest) VALUES (:version, :oldest)"),  # noqa: S608
        {"version": head(), "oldest": oldest},
    )
