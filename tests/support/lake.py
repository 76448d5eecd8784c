"""A catalog with tables over a database, a data folder and a warehouse, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import update

from storage.base.clock import ManualClock
from storage.base.ids import JobId, ProjectId, SnapshotId, TableId
from storage.catalog.catalog import Catalog
from storage.catalog.commands import Command, CreateDatabase, CreateTable
from storage.catalog.definitions import Column, TableDef
from storage.catalog.rows import TABLES
from storage.meta.database import Database
from storage.objects.api import ObjectStore
from storage.objects.locations import Locations
from storage.tables.snapshots import TableSnapshot
from storage.tables.tables import Tables
from storage.tables.writes import Commit, CommitMode, Stage

PROJECT = ProjectId("prj_test")
WINDOW = timedelta(days=1)


@dataclass
class Lake:
    """The project ``PROJECT`` with the empty database ``d``; ``data`` may be registered."""

    database: Database
    data: Path
    warehouse: ObjectStore
    locations: Locations
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.clock)
        self.tables = self.another()
        with self.database.transaction() as tx:
            self.catalog.apply(tx, PROJECT, CreateDatabase(name="d"))

    def another(self) -> Tables:
        """A second process over the same data, with nothing in memory."""
        return Tables(
            self.database,
            Catalog(self.clock),
            self.locations,
            self.warehouse,
            self.clock,
            window=WINDOW,
        )

    def register(self, location: str | Path, **command: Any) -> TableDef:
        """The new external table ``d.t`` over ``location``."""
        return self.tables.create(
            PROJECT, CreateTable(database="d", name="t", location=str(location), **command)
        )

    def make(self, name: str = "m", **columns: str) -> TableDef:
        """A new managed table, by default with the column ``x bigint``."""
        kinds = columns or {"x": "bigint"}
        return self.tables.create(
            PROJECT,
            CreateTable(
                database="d",
                name=name,
                columns=tuple(Column(name=one, type=kind) for one, kind in kinds.items()),
            ),
        )

    def make_former(self, name: str = "m") -> TableDef:
        """As ``make``, where managed tables lay before each project had a folder for them."""
        made = self.make(name)
        with self.database.transaction() as tx:
            tx.execute(
                update(TABLES)
                .where(TABLES.c.id == made.id)
                .values(location=f"tables/{made.id}/", version=made.version + 1)
            )
        return self.find(name)

    def apply(self, command: Command) -> None:
        """Do a command that needs no files."""
        with self.database.transaction() as tx:
            self.tables.apply(tx, PROJECT, command)

    def find(self, name: str = "t") -> TableDef:
        """The table ``d.name`` as it is stored."""
        with self.database.read() as tx:
            return self.catalog.require_table(tx, PROJECT, "d", name)

    def snapshot(self, table: TableDef) -> TableSnapshot:
        """Its files as a process reads them that has nothing in memory."""
        with self.database.read() as tx:
            return self.another().snapshot(tx, table)

    def refresh(self, table: TableDef, max_age: timedelta = timedelta(0)) -> TableDef:
        """The table after a listing."""
        return self.tables.refresh(table, max_age=max_age)

    def stage(self, table_id: TableId | None, *, job: str = "stm_1", attempt: int = 1) -> Stage:
        """A folder to be written."""
        with self.database.transaction() as tx:
            return self.tables.stage(
                tx,
                project_id=PROJECT,
                table_id=table_id,
                job_id=JobId(job),
                attempt=attempt,
                lease=timedelta(hours=2),
            )

    def fill(self, stage: Stage, *parts: pa.Table | dict[str, list[Any]]) -> None:
        """Write one file for each part, as an engine would."""
        for number, part in enumerate(parts):
            table = part if isinstance(part, pa.Table) else pa.table(part)
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink)
            data = sink.getvalue().to_pybytes()
            self.warehouse.put(f"{stage.prefix}part-{number}.parquet", data)

    def commit(
        self,
        stage: Stage,
        mode: CommitMode,
        *,
        table: TableDef | None = None,
        name: str = "m",
        base: SnapshotId | None = None,
        **more: Any,
    ) -> TableDef:
        """Inspect ``stage`` and make it part of ``table``, or the new table ``d.name``."""
        files = self.tables.inspect(stage)
        change = Commit(
            project_id=PROJECT,
            stage=stage,
            files=files,
            mode=mode,
            database="d",
            name=table.name if table else name,
            table_id=table.id if table else None,
            base=base,
            **more,
        )
        with self.database.transaction() as tx:
            return self.tables.commit(tx, change)

    def write(
        self, mode: CommitMode, table: TableDef, *parts: pa.Table | dict[str, list[Any]]
    ) -> TableDef:
        """Stage, fill and commit in one go, on the table's own snapshot."""
        stage = self.stage(table.id)
        self.fill(stage, *parts)
        return self.commit(stage, mode, table=table, base=table.snapshot_id)

    def objects(self) -> list[str]:
        """Keys of all that is in the warehouse."""
        return [info.key for info in self.warehouse.list("")]
