"""Writes into managed tables: an engine fills a new folder, and one transaction makes it a table.

Engines never commit. The row of a stage is there before the engine writes, so whatever happens the
folder can be found and swept; until the commit no reader looks into it. A stage is committed at
most once, and not after it was given up, which fences attempts that were thought dead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import insert, update

from storage.base.ids import JobId, ProjectId, SnapshotId, TableId, new_id
from storage.catalog.catalog import Catalog, managed_folder
from storage.catalog.commands import CreateTable
from storage.catalog.definitions import Column, TableDef, TableKind
from storage.catalog.errors import TableChangedError, TableMissingError, UnknownTypeError
from storage.meta.database import Tx
from storage.objects.api import ObjectInfo, ObjectStore
from storage.objects.ranges import RangeFile
from storage.tables.discovery import check_types
from storage.tables.errors import (
    PartialWriteError,
    StageClosedError,
    TableNotWritableError,
    WrittenSchemaUnknownError,
)
from storage.tables.formats.parquet import Footer, read_footers
from storage.tables.manifests import Manifest
from storage.tables.rows import STAGES
from storage.tables.snapshots import TableFile
from storage.tables.statistics import group_table
from storage.tables.timeline import Operation, Step, add_snapshot


class CommitMode(StrEnum):
    """What becomes of the rows that the table has; the values are those of ``sql``."""

    CREATE = "create"
    APPEND = "append"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A folder for one attempt of one job, which the engine has to create."""

    id: str
    table_id: TableId  #: of the table to be, for CREATE
    job_id: JobId
    prefix: str  #: keys in the warehouse start with it; ends with a slash
    uri: str  #: the same for the engine, without a slash at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFiles:
    """What an engine left in a stage; ``files`` are keys of the warehouse."""

    files: tuple[ObjectInfo, ...]
    footers: tuple[Footer, ...]

    @property
    def rows(self) -> int:
        return sum(footer.rows for footer in self.footers)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a stage becomes.

    ``base`` is the snapshot that an OVERWRITE was computed from: one that came since is a conflict.
    ``columns`` are those of the table to be; a type "" is taken from the written files. APPEND and
    OVERWRITE need the ``table_id``; the fields after it are for CREATE.
    """

    project_id: ProjectId
    stage: Stage
    files: WrittenFiles
    mode: CommitMode
    database: str
    name: str
    table_id: TableId | None = None
    base: SnapshotId | None = None
    columns: tuple[Column, ...] = ()
    if_not_exists: bool = False
    or_replace: bool = False
    comment: str | None = None


def open_stage(
    tx: Tx,
    store: ObjectStore,
    *,
    project_id: ProjectId,
    table: TableDef | None,
    job_id: JobId,
    attempt: int,
    now: datetime,
    lease: timedelta,
) -> Stage:
    """A new folder below the table's (of a table of the project to be, without ``table``).

    Raises ``TableNotWritableError`` for views and external tables.
    """
    if table is None:
        table_id = TableId(new_id("tbl", now))
        root = managed_folder(project_id, table_id)
    elif table.kind is TableKind.MANAGED and table.location is not None:
        table_id, root = table.id, table.location
    else:
        raise TableNotWritableError(
            f"{table.full_name} is {_article(table.kind)}: nothing can be inserted",
            hint="insert into a table that was created without a location",
            table=table.full_name,
        )
    stage_id = new_id("stg", now)
    prefix = f"{root}data/{stage_id}/"
    tx.execute(
        insert(STAGES).values(
            id=stage_id,
            table_id=table_id,
            job_id=job_id,
            attempt=attempt,
            prefix=prefix,
            state="open",
            changed_at=now,
            expires_at=now + lease,
        )
    )
    uri = store.uri(prefix.rstrip("/"))
    return Stage(id=stage_id, table_id=table_id, job_id=job_id, prefix=prefix, uri=uri)


def abandon_stages(tx: Tx, job_id: JobId, attempt: int | None, now: datetime) -> int:
    """Give up what is not committed of a job, or of one attempt of it; how many there were."""
    query = update(STAGES).where(STAGES.c.job_id == job_id, STAGES.c.state == "open")
    if attempt is not None:
        query = query.where(STAGES.c.attempt == attempt)
    changed = query.values(state="abandoned", changed_at=now).returning(STAGES.c.id)
    return len(tx.execute(changed).all())


def inspect(store: ObjectStore, stage: Stage) -> WrittenFiles:
    """List a stage, read its footers and, on a local disk, make its files durable.

    An engine that had no rows may have left nothing. Raises ``PartialWriteError`` when unfinished
    files are there and ``CorruptFileError`` for one without a footer.
    """
    files = []
    for info in store.list(stage.prefix):
        name = info.key.removeprefix(stage.prefix)
        if "#" in name or "_temporary/" in name:
            raise PartialWriteError(
                f"the engine left the unfinished file {info.key}", job_id=stage.job_id
            )
        if name.startswith(("_", ".")) or "/_" in name or "/." in name or not info.size:
            continue
        files.append(info)

    def open_file(key: str, size: int) -> BinaryIO:
        fetch = RangeFile(lambda start, length: store.get(key, start=start, length=length), size)
        return cast("BinaryIO", fetch)

    footers = read_footers(open_file, files)
    _make_durable([store.uri(file.key) for file in files])
    return WrittenFiles(files=tuple(files), footers=tuple(footers))


def commit(tx: Tx, catalog: Catalog, change: Commit, *, now: datetime) -> TableDef:
    """Make ``change.files`` the table's, in the caller's transaction.

    An APPEND goes on top of whatever the table has by now. Raises ``StageClosedError`` when the
    stage was committed or given up, ``TableChangedError`` when an OVERWRITE's base is no longer
    the table's snapshot, ``TableMissingError`` when the table was dropped or replaced, and for
    CREATE what ``Catalog`` does. Where IF NOT EXISTS finds a table the stage is given up.
    """
    _close(tx, change.stage, now)
    if change.mode is CommitMode.CREATE:
        return _create(tx, catalog, change, now)
    assert change.table_id is not None
    table = catalog.lock_table(tx, change.table_id)
    if table is None:
        raise TableMissingError(
            f"the table {change.database}.{change.name} was dropped meanwhile",
            table=f"{change.database}.{change.name}",
        )
    if change.mode is CommitMode.OVERWRITE and table.snapshot_id != change.base:
        raise TableChangedError(
            f"{table.full_name} was written meanwhile",
            hint="run the statement again",
            table=table.full_name,
        )
    return _follow(tx, catalog, change, table, now)


def _create(tx: Tx, catalog: Catalog, change: Commit, now: datetime) -> TableDef:
    snapshot_id = SnapshotId(new_id("snp", now))
    made = catalog.create_table(
        tx,
        change.project_id,
        CreateTable(
            database=change.database,
            name=change.name,
            columns=_typed(change.columns, change.files.footers),
            if_not_exists=change.if_not_exists,
            or_replace=change.or_replace,
            comment=change.comment,
        ),
        table_id=change.stage.table_id,
        snapshot_id=snapshot_id,
    )
    if made.id != change.stage.table_id:
        tx.execute(
            update(STAGES)
            .where(STAGES.c.id == change.stage.id)
            .values(state="abandoned", changed_at=now)
        )
        return made
    _add(tx, change, made, snapshot_id, Operation.CREATE, now)
    return made


def _follow(tx: Tx, catalog: Catalog, change: Commit, table: TableDef, now: datetime) -> TableDef:
    if change.mode is CommitMode.OVERWRITE:
        tx.execute(
            update(STAGES)
            .where(
                STAGES.c.table_id == table.id,
                STAGES.c.state == "committed",
                STAGES.c.id != change.stage.id,
            )
            .values(state="retired", changed_at=now)
        )
    elif not change.files.files:
        return table
    snapshot_id = SnapshotId(new_id("snp", now))
    after = catalog.set_snapshot(tx, table, snapshot_id)
    _add(tx, change, after, snapshot_id, Operation(change.mode.value), now)
    return after


def _add(
    tx: Tx,
    change: Commit,
    table: TableDef,
    snapshot_id: SnapshotId,
    operation: Operation,
    now: datetime,
) -> None:
    footers = change.files.footers
    check_types(footers, table.columns)
    manifest = Manifest(
        files=tuple(
            TableFile(uri=file.key, size=file.size, rows=footer.rows, etag=file.etag)
            for file, footer in zip(change.files.files, footers, strict=True)
        ),
        groups=group_table(table.columns, footers),
    )
    add_snapshot(
        tx,
        Step(
            table_id=table.id,
            snapshot_id=snapshot_id,
            operation=operation,
            manifest=manifest,
            replace=operation is Operation.OVERWRITE,
            at=now,
            job_id=change.stage.job_id,
        ),
    )


def _close(tx: Tx, stage: Stage, now: datetime) -> None:
    closed = tx.execute(
        update(STAGES)
        .where(STAGES.c.id == stage.id, STAGES.c.state == "open")
        .values(state="committed", changed_at=now)
        .returning(STAGES.c.id)
    ).first()
    if closed is None:
        raise StageClosedError(
            "the written files were committed or given up before", job_id=stage.job_id
        )


def _typed(columns: Sequence[Column], footers: Sequence[Footer]) -> tuple[Column, ...]:
    """``columns`` with the types that are missing taken from the files, by position."""
    if columns and all(column.type for column in columns):
        return tuple(columns)
    if not footers:
        raise WrittenSchemaUnknownError(
            "the query gave no rows and no types, so the table has no columns",
            hint="create the table with its columns first",
        )
    written = footers[0].columns
    if not columns:
        columns = tuple(Column(name=one.name, type="") for one in written)
    if len(columns) != len(written):
        raise ValueError(f"{len(columns)} columns expected, {len(written)} written")
    done = []
    for column, found in zip(columns, written, strict=True):
        if isinstance(found.type, UnknownTypeError):
            raise found.type
        if found.type == "void" and not column.type:
            raise UnknownTypeError(
                f"column {column.name!r} has no type: it holds nothing but NULL",
                hint="write CAST(… AS STRING)",
                column_name=column.name,
            )
        done.append(column if column.type else replace(column, type=found.type))
    return tuple(done)


def _make_durable(uris: Sequence[str]) -> None:
    """Sync local files and their folders, which engines do not do; other stores have done so."""
    paths = [Path(uri.removeprefix("file://")) for uri in uris if uri.startswith("file://")]
    for path in [*paths, *{path.parent for path in paths}]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _article(kind: TableKind) -> str:
    return "a view" if kind is TableKind.VIEW else "an external table"
