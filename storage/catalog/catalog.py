"""Databases, tables and views of projects: looked up, listed, and changed by commands.

All methods work in the caller's transaction. A change of a table is compare-and-set on its version.
Which files a table has is the business of ``storage.tables``; here is only the id of the list.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.base.clock import Clock
from storage.base.ids import ProjectId, SnapshotId, TableId, new_id
from storage.catalog.commands import (
    Command,
    CreateDatabase,
    CreateTable,
    CreateView,
    DropDatabase,
    DropTable,
)
from storage.catalog.definitions import Column, DatabaseDef, TableDef, TableFormat, TableKind
from storage.catalog.discovered import Discovered
from storage.catalog.errors import (
    DatabaseExistsError,
    DatabaseMissingError,
    DatabaseNotEmptyError,
    DefaultDatabaseError,
    InvalidDefinitionError,
    TableChangedError,
    TableExistsError,
    TableMissingError,
    WrongTableKindError,
)
from storage.catalog.memo import Memo
from storage.catalog.names import DEFAULT_DATABASE, did_you_mean, object_name, similar
from storage.catalog.rows import DATABASES, TABLES
from storage.catalog.validation import checked_columns, checked_partitions, partitions_last
from storage.meta.database import Tx
from storage.meta.prepared import Prepared
from storage.objects.keys import folder

_LIVE = TABLES.c.dropped_at.is_(None)

# Built once: each statement that is submitted looks names up, and building costs more than running.
_DATABASE = select(DATABASES).where(
    DATABASES.c.project_id == bindparam("project"), DATABASES.c.name == bindparam("name")
)
_DATABASES = Prepared(
    select(DATABASES)
    .where(DATABASES.c.project_id == bindparam("project"))
    .order_by(DATABASES.c.name)
)
_TABLE_KEY = Prepared(
    select(TABLES.c.id, TABLES.c.version, TABLES.c.snapshot_id).where(
        TABLES.c.project_id == bindparam("project"),
        TABLES.c.database_name == bindparam("database"),
        TABLES.c.name == bindparam("name"),
        _LIVE,
    )
)
_TABLE = select(TABLES).where(TABLES.c.id == bindparam("table_id"), _LIVE)


class Catalog:
    """The one writer of the catalog's rows."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._memo = Memo()

    # Looking up. Names are taken in any case.

    def database(self, tx: Tx, project_id: ProjectId, name: str) -> DatabaseDef | None:
        """The database, None if there is none of that name."""
        row = tx.execute(_DATABASE, {"project": project_id, "name": name.lower()}).first()
        return None if row is None else _database(row)

    def require_database(self, tx: Tx, project_id: ProjectId, name: str) -> DatabaseDef:
        """The database; raises ``DatabaseMissingError`` with near names."""
        found = self.database(tx, project_id, name)
        if found is None:
            raise self._database_missing(tx, project_id, name)
        return found

    def databases(self, tx: Tx, project_id: ProjectId) -> tuple[DatabaseDef, ...]:
        """All databases of the project, by name."""
        rows = _DATABASES.all(tx, {"project": project_id})
        return tuple(_database(row) for row in rows)

    def table(self, tx: Tx, project_id: ProjectId, database: str, name: str) -> TableDef | None:
        """The table or view, None if there is none of that name."""
        key = _TABLE_KEY.first(
            tx, {"project": project_id, "database": database.lower(), "name": name.lower()}
        )
        if key is None:
            return None
        return self._memo.get((key.id, key.version, key.snapshot_id)) or self.table_by_id(
            tx, key.id
        )

    def require_table(self, tx: Tx, project_id: ProjectId, database: str, name: str) -> TableDef:
        """The table or view; raises ``DatabaseMissingError`` or ``TableMissingError``."""
        found = self.table(tx, project_id, database, name)
        if found is None:
            self.require_database(tx, project_id, database)
            raise self._table_missing(tx, project_id, database, name)
        return found

    def table_by_id(self, tx: Tx, table_id: TableId) -> TableDef | None:
        """The table or view, None once it is dropped."""
        row = tx.execute(_TABLE, {"table_id": table_id}).first()
        if row is None:
            return None
        found = table_of(row)
        self._memo.put(found)
        return found

    def lock_table(self, tx: Tx, table_id: TableId) -> TableDef | None:
        """As ``table_by_id``, and nobody else changes the table until ``tx`` ends."""
        row = tx.execute(
            select(TABLES).where(TABLES.c.id == table_id, _LIVE).with_for_update()
        ).first()
        return None if row is None else table_of(row)

    def tables(self, tx: Tx, project_id: ProjectId, database: str) -> tuple[TableDef, ...]:
        """Tables and views of a database, by name; raises ``DatabaseMissingError``."""
        rows = tx.execute(
            select(TABLES)
            .where(
                TABLES.c.project_id == project_id,
                TABLES.c.database_name == database.lower(),
                _LIVE,
            )
            .order_by(TABLES.c.name)
        )
        found = tuple(table_of(row) for row in rows)
        if not found:
            self.require_database(tx, project_id, database)
        return found

    def similar(self, tx: Tx, project_id: ProjectId, database: str, name: str) -> tuple[str, ...]:
        """Names of the database that are near ``name``, the nearest first."""
        names = tx.execute(
            select(TABLES.c.name).where(
                TABLES.c.project_id == project_id,
                TABLES.c.database_name == database.lower(),
                _LIVE,
            )
        ).scalars()
        return similar(name, names)

    # Changing.

    def apply(
        self,
        tx: Tx,
        project_id: ProjectId,
        command: Command,
        *,
        discovered: Discovered | None = None,
    ) -> TableDef | DatabaseDef | None:
        """Do ``command``; gives what was created (or was there, with IF NOT EXISTS), else None.

        ``discovered`` is needed for a table with a location. ``Tables.apply`` is the door for
        callers above: it also keeps the list of files.
        """
        match command:
            case CreateDatabase():
                return self._create_database(tx, project_id, command)
            case DropDatabase():
                self._drop_database(tx, project_id, command)
            case CreateTable():
                return self.create_table(tx, project_id, command, discovered=discovered)
            case CreateView():
                return self._create_view(tx, project_id, command)
            case DropTable():
                self._drop_table(tx, project_id, command)
            case _:
                assert_never(command)
        return None

    def create_table(
        self,
        tx: Tx,
        project_id: ProjectId,
        command: CreateTable,
        *,
        discovered: Discovered | None = None,
        table_id: TableId | None = None,
        snapshot_id: SnapshotId | None = None,
    ) -> TableDef:
        """A new external (``discovered``) or managed table, or the one that IF NOT EXISTS finds.

        ``table_id`` and ``snapshot_id`` are those of a managed table whose files are written.
        """
        name = object_name("table", command.name)
        full_name = f"{command.database.lower()}.{name}"
        if discovered is not None:
            columns, partitioned_by = discovered.columns, discovered.partitioned_by
        else:
            if command.location is not None:
                raise ValueError("a table with a location needs what was discovered there")
            if command.partitioned_by or command.format is not TableFormat.PARQUET:
                raise InvalidDefinitionError(
                    f"{full_name} has no location, so it is Parquet and has no partition folders",
                    hint="leave PARTITIONED BY out: files are skipped by their statistics",
                )
            columns, partitioned_by = command.columns, ()
        columns = checked_columns(columns, of=full_name)
        partitioned_by = checked_partitions(partitioned_by, columns)
        if len(partitioned_by) == len(columns):
            raise InvalidDefinitionError(f"{full_name} has no columns but partition columns")
        made = TableDef(
            id=table_id or TableId(new_id("tbl", self._now())),
            project_id=project_id,
            database=command.database.lower(),
            name=name,
            kind=TableKind.MANAGED if discovered is None else TableKind.EXTERNAL,
            columns=partitions_last(columns, partitioned_by),
            format=command.format,
            options=discovered.options if discovered else (),
            partitioned_by=partitioned_by,
            comment=command.comment,
            version=1,
            snapshot_id=discovered.snapshot_id if discovered else snapshot_id,
            created_at=self._now(),
        )
        made = replace(
            made,
            location=discovered.location if discovered else managed_folder(project_id, made.id),
        )
        return self._insert(
            tx, made, if_not_exists=command.if_not_exists, or_replace=command.or_replace
        )

    def set_snapshot(self, tx: Tx, table: TableDef, snapshot_id: SnapshotId) -> TableDef:
        """Point ``table`` to a new list of files; ``TableChangedError`` if it is not as stored."""
        after = replace(table, snapshot_id=snapshot_id, version=table.version + 1)
        self._change(tx, table, snapshot_id=snapshot_id, version=after.version)
        return after

    def _now(self) -> datetime:
        """The moment, in the milliseconds that rows keep."""
        now = self._clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def _create_database(
        self, tx: Tx, project_id: ProjectId, command: CreateDatabase
    ) -> DatabaseDef:
        name = object_name("database", command.name)
        found = self.database(tx, project_id, name)
        if found is not None:
            if command.if_not_exists:
                return found
            raise DatabaseExistsError(
                f"the database {name!r} exists", hint="write IF NOT EXISTS to keep it"
            )
        made = DatabaseDef(
            project_id=project_id,
            name=name,
            comment=command.comment,
            created_at=self._now(),
        )
        try:
            tx.execute(
                insert(DATABASES).values(
                    project_id=project_id,
                    name=name,
                    comment=made.comment,
                    created_at=made.created_at,
                )
            )
        except IntegrityError as error:
            raise DatabaseExistsError(f"the database {name!r} was just created") from error
        return made

    def _drop_database(self, tx: Tx, project_id: ProjectId, command: DropDatabase) -> None:
        name = command.name.lower()
        if name == DEFAULT_DATABASE:
            raise DefaultDatabaseError(
                f"the database {name!r} cannot be dropped: names without a database mean it",
                hint="drop its tables and views one by one",
                database=name,
            )
        if not self._lock_database(tx, project_id, name, alone=True):
            if command.if_exists:
                return
            raise self._database_missing(tx, project_id, name)
        tables = self.tables(tx, project_id, name)
        if tables and not command.cascade:
            raise DatabaseNotEmptyError(
                f"the database {name!r} has {len(tables)} tables, such as {tables[0].name!r}",
                hint="drop them first, or write CASCADE",
            )
        for table in tables:
            self._change(tx, table, dropped_at=self._now())
        tx.execute(
            DATABASES.delete().where(DATABASES.c.project_id == project_id, DATABASES.c.name == name)
        )

    def _create_view(self, tx: Tx, project_id: ProjectId, command: CreateView) -> TableDef:
        name = object_name("view", command.name)
        database = command.database.lower()
        made = TableDef(
            id=TableId(new_id("tbl", self._now())),
            project_id=project_id,
            database=database,
            name=name,
            kind=TableKind.VIEW,
            columns=checked_columns(command.columns, of=f"{database}.{name}"),
            view_sql=command.sql,
            view_database=database,
            comment=command.comment,
            version=1,
            created_at=self._now(),
        )
        return self._insert(
            tx, made, if_not_exists=command.if_not_exists, or_replace=command.or_replace
        )

    def _drop_table(self, tx: Tx, project_id: ProjectId, command: DropTable) -> None:
        found = self.table(tx, project_id, command.database, command.name)
        if found is None:
            if command.if_exists:
                return
            self.require_database(tx, project_id, command.database)
            raise self._table_missing(tx, project_id, command.database, command.name)
        if (found.kind is TableKind.VIEW) != command.view:
            raise _wrong_kind(found, f"drop it with DROP {_kind(found).upper()}")
        self._change(tx, found, dropped_at=self._now())

    def _insert(self, tx: Tx, made: TableDef, *, if_not_exists: bool, or_replace: bool) -> TableDef:
        if not self._lock_database(tx, made.project_id, made.database, alone=False):
            raise self._database_missing(tx, made.project_id, made.database)
        found = self.table(tx, made.project_id, made.database, made.name)
        if found is not None:
            if (found.kind is TableKind.VIEW) != (made.kind is TableKind.VIEW):
                raise _wrong_kind(found, "choose another name, or drop it first")
            if if_not_exists:
                return found
            if not or_replace:
                raise TableExistsError(
                    f"the {_kind(found)} {made.full_name} exists",
                    hint="write IF NOT EXISTS to keep it, or OR REPLACE to replace it",
                    table=made.full_name,
                )
            self._change(tx, found, dropped_at=self._now())
        try:
            tx.execute(insert(TABLES).values(_values(made)))
        except IntegrityError as error:
            raise TableChangedError(
                f"{made.full_name} was just created", table=made.full_name
            ) from error
        return made

    def _change(self, tx: Tx, table: TableDef, **values: Any) -> None:
        changed = tx.execute(
            update(TABLES)
            .where(TABLES.c.id == table.id, TABLES.c.version == table.version, _LIVE)
            .values(values)
            .returning(TABLES.c.id)
        ).first()
        if changed is None:
            raise TableChangedError(
                f"{table.full_name} was changed meanwhile",
                hint="run the statement again",
                table=table.full_name,
            )

    def _lock_database(self, tx: Tx, project_id: ProjectId, name: str, *, alone: bool) -> bool:
        """Keep the database from being dropped (or, ``alone``, used) until ``tx`` ends.

        False if there is no such database. SQLite's writers are alone anyway.
        """
        row = tx.execute(
            select(DATABASES.c.name)
            .where(DATABASES.c.project_id == project_id, DATABASES.c.name == name)
            .with_for_update(read=not alone)
        ).first()
        return row is not None

    def _database_missing(self, tx: Tx, project_id: ProjectId, name: str) -> DatabaseMissingError:
        near = similar(name, (database.name for database in self.databases(tx, project_id)))
        return DatabaseMissingError(
            f"there is no database {name!r}",
            hint=did_you_mean(near, "SHOW DATABASES lists what there is"),
            database=name,
        )

    def _table_missing(
        self, tx: Tx, project_id: ProjectId, database: str, name: str
    ) -> TableMissingError:
        near = (f"{database}.{one}" for one in self.similar(tx, project_id, database, name))
        return TableMissingError(
            f"there is no table {database}.{name}",
            hint=did_you_mean(near, f"SHOW TABLES IN {database} lists what there is"),
            table=f"{database}.{name}",
        )


def managed_folder(project_id: ProjectId, table_id: TableId) -> str:
    """Where the files of a new managed table will lie in the warehouse; ends with a slash.

    All tables of a project are below one folder, which is what its identity at the store has to
    reach. Of a table that there is, only its ``location`` tells.
    """
    return folder("project-tables", project_id, table_id)


def table_of(row: Row[Any]) -> TableDef:
    """The definition kept in a row of ``TABLES``."""
    return TableDef(
        id=row.id,
        project_id=row.project_id,
        database=row.database_name,
        name=row.name,
        kind=TableKind(row.kind),
        columns=tuple(
            Column(name=name, type=kind, nullable=nullable, comment=comment)
            for name, kind, nullable, comment in row.columns
        ),
        format=TableFormat(row.format) if row.format else None,
        location=row.location,
        options=tuple((key, value) for key, value in row.options),
        partitioned_by=tuple(row.partitioned_by),
        view_sql=row.view_sql,
        view_database=row.view_database,
        comment=row.comment,
        version=row.version,
        snapshot_id=row.snapshot_id,
        created_at=row.created_at,
    )


def _values(table: TableDef) -> dict[str, Any]:
    return {
        "id": table.id,
        "project_id": table.project_id,
        "database_name": table.database,
        "name": table.name,
        "kind": table.kind.value,
        "columns": [[one.name, one.type, one.nullable, one.comment] for one in table.columns],
        "format": table.format.value if table.format else None,
        "location": table.location,
        "options": [list(pair) for pair in table.options],
        "partitioned_by": list(table.partitioned_by),
        "view_sql": table.view_sql,
        "view_database": table.view_database,
        "comment": table.comment,
        "version": table.version,
        "snapshot_id": table.snapshot_id,
        "created_at": table.created_at,
    }


def _database(row: Row[Any]) -> DatabaseDef:
    return DatabaseDef(
        project_id=row.project_id, name=row.name, comment=row.comment, created_at=row.created_at
    )


def _kind(table: TableDef) -> str:
    return "view" if table.kind is TableKind.VIEW else "table"


def _wrong_kind(table: TableDef, hint: str) -> WrongTableKindError:
    return WrongTableKindError(
        f"{table.full_name} is a {_kind(table)}", hint=hint, table=table.full_name
    )
