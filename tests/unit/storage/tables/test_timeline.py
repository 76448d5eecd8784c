"""Snapshots as rows: numbered, read back at any number, and merged when there are many."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from sqlalchemy import func, select

from storage.base.ids import SnapshotId, TableId, new_id
from storage.catalog.definitions import Column, TableFormat
from storage.meta.database import Database
from storage.tables.manifests import Manifest
from storage.tables.rows import MANIFESTS
from storage.tables.snapshots import TableFile
from storage.tables.timeline import Operation, Step, add_snapshot, read_manifest, snapshots_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TABLE = TableId("tbl_1")
COLUMNS = [Column(name="x", type="bigint")]


def add(database: Database, *names: str, replace: bool = False, rows: int | None = 1) -> SnapshotId:
    """The next snapshot, with one file for each name."""
    snapshot_id = SnapshotId(new_id("snp", NOW))
    files = tuple(TableFile(uri=name, size=10, rows=rows, etag="e") for name in names)
    with database.transaction() as tx:
        add_snapshot(
            tx,
            Step(
                table_id=TABLE,
                snapshot_id=snapshot_id,
                operation=Operation.OVERWRITE if replace else Operation.APPEND,
                manifest=Manifest(files=files, groups=None),
                replace=replace,
                at=NOW,
            ),
        )
    return snapshot_id


def read(database: Database, snapshot_id: SnapshotId, *, table: TableId = TABLE) -> str | None:
    """Names of a snapshot's files, None if there is no such snapshot."""
    with database.read() as tx:
        found = read_manifest(tx, table, snapshot_id, kind=TableFormat.CSV, columns=COLUMNS)
    return None if found is None else "".join(file.uri for file in found.files)


def test_every_snapshot_stays_as_it_was(database: Database) -> None:
    made = [add(database, "a"), add(database, "b", "c"), add(database, "d", replace=True)]
    made += [add(database), add(database, "e"), add(database, replace=True)]
    assert [read(database, one) for one in made] == ["a", "abc", "d", "d", "de", ""]


def test_sums_are_kept_beside(database: Database) -> None:
    add(database, "a")
    add(database, "b", "c", rows=5)
    add(database, "d", rows=None)
    add(database, "e", replace=True)
    with database.read() as tx:
        found = snapshots_of(tx, TABLE, limit=3)
    assert [(one.number, one.files, one.rows, one.bytes) for one in found] == [
        (4, 1, 1, 10),
        (3, 4, None, 40),
        (2, 3, 11, 30),
    ]


def test_many_small_manifests_are_merged(database: Database) -> None:
    made = [add(database, "x") for _ in range(130)]
    assert [len(read(database, one) or "") for one in made] == list(range(1, 131))
    with database.read() as tx:
        live = tx.execute(
            select(func.count()).select_from(MANIFESTS).where(MANIFESTS.c.removed.is_(None))
        ).scalar_one()
    assert live <= 64


@pytest.mark.parametrize("kind", TableFormat)
def test_an_empty_snapshot_has_groups_if_its_format_has(
    database: Database, kind: TableFormat
) -> None:
    snapshot_id = add(database)
    with database.read() as tx:
        found = read_manifest(tx, TABLE, snapshot_id, kind=kind, columns=COLUMNS)
    assert found is not None
    assert found.files == ()
    assert isinstance(found.groups, pa.Table) == (kind is TableFormat.PARQUET)


def test_a_snapshot_of_another_table_is_not_found(database: Database) -> None:
    snapshot_id = add(database, "a")
    assert read(database, snapshot_id, table=TableId("tbl_2")) is None
    assert read(database, SnapshotId("snp_none")) is None
