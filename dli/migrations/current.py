"""Whether this code can run on a database as it is: a look that most starts end with.

An empty database gets the schema as it is declared, at once. What migrates others is loaded only
where there is something to do: it would take a tenth of a start.

A migration may name the ``oldest`` schema whose code still runs beside it, so that a release is
upgraded, tried out and rolled back while the one before serves (docs/operations.md#upgrades). The
migrator keeps it in a table of its own, as alembic keeps the version, for code that is older
than the migration and can't read it there.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, inspect, text

from dli.tables import METADATA
from storage.base.errors import BrokenError
from storage.meta.database import Database, Tx

_VERSIONS = Path(__file__).with_name("versions")
_OLDEST = re.compile(r"""^oldest\b[^=\n]*=\s*["'](\w+)["']""", re.MULTILINE)

#: ``oldest`` is the lowest schema whose code runs on ``version_num``; one row, made by ``migrate``.
FLOOR = "schema_floor"

#: The tables of the migrator, as alembic and ``migrate`` make them.
_OWN = MetaData()
_VERSION = Table(
    "alembic_version",
    _OWN,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_FLOOR = Table(
    FLOOR,
    _OWN,
    Column("version_num", String(32), nullable=False),
    Column("oldest", String(32), nullable=False),
)


class SchemaTooNewError(BrokenError):
    """The database was migrated by a later version of the service, which this one can't go with."""

    code = "schema_too_new"


class SchemaTooOldError(BrokenError):
    """The database has not been migrated yet, and this start is not to do it."""

    code = "schema_too_old"


def head() -> str:
    """The newest revision, by the names of the files."""
    return max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


def oldest_told(versions: Path) -> str:
    """As ``migrate.oldest_beside``, by the text of the files, which load alembic when they run."""
    return max(
        said[1] if (said := _OLDEST.search(path.read_text())) else path.name.partition("_")[0]
        for path in versions.glob("[0-9]*_*.py")
    )


def schema_version(database: Database) -> str | None:
    """The revision that a database has, None for an empty one."""
    with database.read() as tx:
        return version_in(tx)


def version_in(tx: Tx) -> str | None:
    """As ``schema_version``, in a transaction."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    found: str | None = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def ensure_schema(database: Database, *, migrate: bool = True) -> None:
    """Return when this code can run on the database, which is migrated if it ``migrate``s.

    Replicas that start together take turns. Raises ``SchemaTooOldError`` where it is not to, and
    ``SchemaTooNewError``.
    """
    with database.read() as tx:
        found = version_in(tx)
        fits = found == head() or (found is not None and found > head() and goes_with(tx, found))
    if fits:
        return
    if found is not None and found > head():
        raise too_new(found)
    if not migrate:
        raise SchemaTooOldError(
            f"the metadata database has {_named(found)}, this version of the service needs "
            f"{head()}",
            hint="run `dli migrate` once, or set migrate (DLI_MIGRATE=true)",
        )
    if found is not None or not _create(database):
        importlib.import_module("dli.migrations.migrate").upgrade(database)


def _create(database: Database) -> bool:
    """Make all tables in one transaction; false where there are some already."""
    with database.transaction() as tx:
        database.lock(tx, "migrations")
        if inspect(tx).get_table_names():
            return False
        METADATA.create_all(tx, checkfirst=False)
        _OWN.create_all(tx, checkfirst=False)
        tx.execute(_VERSION.insert().values(version_num=head()))
        tx.execute(_FLOOR.insert().values(version_num=head(), oldest=oldest_told(_VERSIONS)))
    return True


def goes_with(tx: Tx, found: str) -> bool:
    """Whether the version that made the later schema ``found`` said that this one runs on it."""
    if not inspect(tx).has_table(FLOOR):
        return False
    row = tx.execute(text(f"SELECT version_num, oldest FROM {FLOOR}")).one_or_none()  # noqa: S608
    return row is not None and row.version_num == found and row.oldest <= head()


def too_new(found: str) -> SchemaTooNewError:
    """What to say of a later schema that this code can't run on."""
    return SchemaTooNewError(
        f"the metadata database has the schema {found}, which this version of the service does not "
        f"know; it knows {head()}",
        hint="start the version that was used last, or a later one",
    )


def _named(found: str | None) -> str:
    return "no schema" if found is None else f"the schema {found}"
