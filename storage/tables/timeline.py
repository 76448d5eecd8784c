"""Snapshots as rows: kept, read back, and followed one by another. All in the caller's tx."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, insert, select, update

from storage.base.ids import JobId, SnapshotId, TableId, new_id
from storage.catalog.definitions import Column, TableFormat
from storage.meta.database import Tx
from storage.tables.manifests import (
    Manifest,
    decode_files,
    decode_table,
    encode_files,
    encode_table,
    merge,
)
from storage.tables.rows import MANIFESTS, SNAPSHOTS
from storage.tables.statistics import group_table

_MOST_MANIFESTS = 64  # a snapshot of more is merged by the next append


class Operation(StrEnum):
    """How a snapshot came to be."""

    CREATE = "create"
    REFRESH = "refresh"
    APPEND = "append"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotInfo:
    """A snapshot without its files."""

    id: SnapshotId
    number: int
    operation: Operation
    job_id: JobId | None
    created_at: datetime
    files: int
    rows: int | None
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next snapshot of a table: ``manifest`` is added, and with ``replace`` all else removed.

    ``job_id`` is the job whose files these are, None for external files.
    """

    table_id: TableId
    snapshot_id: SnapshotId
    operation: Operation
    manifest: Manifest
    replace: bool
    at: datetime
    job_id: JobId | None = None


def add_snapshot(tx: Tx, step: Step) -> None:
    """Keep ``step`` as the snapshot that follows the newest.

    The table's row must be locked or just written by ``tx``, so that nobody else takes the number.
    """
    last = tx.execute(
        select(SNAPSHOTS.c.number, SNAPSHOTS.c.files, SNAPSHOTS.c.rows, SNAPSHOTS.c.bytes)
        .where(SNAPSHOTS.c.table_id == step.table_id)
        .order_by(SNAPSHOTS.c.number.desc())
        .limit(1)
    ).first()
    number = last.number + 1 if last else 1
    files, rows, size = len(step.manifest.files), step.manifest.rows, step.manifest.size
    if last is not None:
        tx.execute(
            update(SNAPSHOTS)
            .where(SNAPSHOTS.c.table_id == step.table_id, SNAPSHOTS.c.number == last.number)
            .values(superseded_at=step.at)
        )
        if step.replace:
            _remove_all(tx, step, number)
        else:
            files, size = files + last.files, size + last.bytes
            rows = None if rows is None or last.rows is None else rows + last.rows
    if step.manifest.files:
        manifest = step.manifest
        if not step.replace and _count(tx, step.table_id) >= _MOST_MANIFESTS:
            manifest = merge([*_live(tx, step.table_id), manifest])
            _remove_all(tx, step, number)
        tx.execute(
            insert(MANIFESTS).values(
                id=new_id("mft", step.at),
                table_id=step.table_id,
                added=number,
                files=encode_files(manifest.files),
                groups=None if manifest.groups is None else encode_table(manifest.groups),
            )
        )
    tx.execute(
        insert(SNAPSHOTS).values(
            id=step.snapshot_id,
            table_id=step.table_id,
            number=number,
            operation=step.operation.value,
            job_id=step.job_id,
            created_at=step.at,
            files=files,
            rows=rows,
            bytes=size,
        )
    )


def read_manifest(
    tx: Tx,
    table_id: TableId,
    snapshot_id: SnapshotId,
    *,
    kind: TableFormat,
    columns: Sequence[Column],
) -> Manifest | None:
    """All files of a snapshot, None if it is gone (past the time-travel window).

    ``columns`` are the table's without the partition columns; an empty snapshot has groups of them.
    """
    number = tx.execute(
        select(SNAPSHOTS.c.number).where(
            SNAPSHOTS.c.id == snapshot_id, SNAPSHOTS.c.table_id == table_id
        )
    ).scalar()
    if number is None:
        return None
    parts = _live(tx, table_id, number)
    if not parts:
        groups = group_table(columns, []) if kind is TableFormat.PARQUET else None
        return Manifest(files=(), groups=groups)
    return merge(parts)


def snapshots_of(tx: Tx, table_id: TableId, *, limit: int) -> tuple[SnapshotInfo, ...]:
    """The newest snapshots of a table, newest first."""
    rows = tx.execute(
        select(SNAPSHOTS)
        .where(SNAPSHOTS.c.table_id == table_id)
        .order_by(SNAPSHOTS.c.number.desc())
        .limit(limit)
    )
    return tuple(
        SnapshotInfo(
            id=row.id,
            number=row.number,
            operation=Operation(row.operation),
            job_id=row.job_id,
            created_at=row.created_at,
            files=row.files,
            rows=row.rows,
            bytes=row.bytes,
        )
        for row in rows
    )


def _live(tx: Tx, table_id: TableId, number: int | None = None) -> list[Manifest]:
    """Manifests of a snapshot, by default of the newest, in the order in which they were added."""
    never = MANIFESTS.c.removed.is_(None)
    alive = (
        [never]
        if number is None
        else [MANIFESTS.c.added <= number, never | (MANIFESTS.c.removed > number)]
    )
    rows = tx.execute(
        select(MANIFESTS.c.files, MANIFESTS.c.groups)
        .where(MANIFESTS.c.table_id == table_id, *alive)
        .order_by(MANIFESTS.c.added, MANIFESTS.c.id)
    )
    return [
        Manifest(
            files=decode_files(row.files),
            groups=None if row.groups is None else decode_table(row.groups),
        )
        for row in rows
    ]


def _count(tx: Tx, table_id: TableId) -> int:
    found: int = tx.execute(
        select(func.count()).where(MANIFESTS.c.table_id == table_id, MANIFESTS.c.removed.is_(None))
    ).scalar_one()
    return found


def _remove_all(tx: Tx, step: Step, number: int) -> None:
    tx.execute(
        update(MANIFESTS)
        .where(MANIFESTS.c.table_id == step.table_id, MANIFESTS.c.removed.is_(None))
        .values(removed=number, removed_at=step.at)
    )
