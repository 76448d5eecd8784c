"""The one door to tables and their files; what happens behind it is in the modules beside."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

from storage.base.clock import Clock
from storage.base.ids import JobId, ProjectId, SnapshotId, TableId, new_id
from storage.catalog.catalog import Catalog
from storage.catalog.commands import Command, CreateTable
from storage.catalog.definitions import Column, DatabaseDef, TableDef, TableFormat, TableKind
from storage.catalog.errors import TableChangedError, WrongTableKindError
from storage.meta.database import Database, Tx
from storage.objects.api import ObjectStore
from storage.objects.locations import Locations
from storage.tables.cache import SnapshotCache
from storage.tables.describe import TableDetails, describe
from storage.tables.discovery import Discovery, Listing, discover, list_files, rediscover
from storage.tables.errors import TableFilesGoneError
from storage.tables.manifests import Manifest
from storage.tables.snapshots import TableSnapshot
from storage.tables.statistics import row_groups
from storage.tables.sweep import sweep
from storage.tables.timeline import (
    Operation,
    Step,
    add_snapshot,
    read_manifest,
    snapshots_of,
)
from storage.tables.writes import (
    Commit,
    Stage,
    WrittenFiles,
    abandon_stages,
    commit,
    inspect,
    open_stage,
)

_CACHE_BYTES = 256 << 20
_SHOWN_SNAPSHOTS = 20


class Tables:
    """Tables of all projects. Safe to share by threads; one instance a process.

    ``window`` is how long replaced and dropped files stay, for readers that pinned them.
    """

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        locations: Locations,
        warehouse: ObjectStore,
        clock: Clock,
        *,
        window: timedelta = timedelta(days=1),
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._locations = locations
        self._warehouse = warehouse
        self._clock = clock
        self._window = window
        self._cache = SnapshotCache(cache_bytes)
        self._listed: dict[TableId, float] = {}  # by monotonic seconds; of this process only
        self._listing: dict[TableId, threading.Lock] = {}
        self._lock = threading.Lock()  # guards the two dicts

    # Registering and DDL.

    def discover(self, command: CreateTable) -> Discovery:
        """List a location and read its footers, or infer the schema; no transaction may be open."""
        return discover(self._locations, command, snapshot_id=self._new_snapshot_id())

    def create(self, project_id: ProjectId, command: CreateTable) -> TableDef:
        """Discover if there is a location, then create the table in one transaction."""
        found = self.discover(command) if command.location is not None else None
        with self._database.transaction() as tx:
            made = self.apply(tx, project_id, command, found=found)
        assert isinstance(made, TableDef)
        return made

    def apply(
        self,
        tx: Tx,
        project_id: ProjectId,
        command: Command,
        *,
        found: Discovery | None = None,
    ) -> TableDef | DatabaseDef | None:
        """Do any DDL command in the caller's transaction, first snapshots of tables included.

        ``found`` is what ``discover`` gave, for a table with a location. Gives what was created,
        or with IF NOT EXISTS what was there; None for a drop.
        """
        if not isinstance(command, CreateTable):
            return self._catalog.apply(tx, project_id, command)
        if found is None:
            snapshot_id = self._new_snapshot_id()
            made = self._catalog.create_table(tx, project_id, command, snapshot_id=snapshot_id)
            manifest = Manifest(files=(), groups=None)  # read back with the table's columns
        else:
            snapshot_id = found.definition.snapshot_id
            made = self._catalog.create_table(tx, project_id, command, discovered=found.definition)
            manifest = found.manifest
        if made.snapshot_id == snapshot_id:
            add_snapshot(
                tx,
                Step(
                    table_id=made.id,
                    snapshot_id=snapshot_id,
                    operation=Operation.CREATE,
                    manifest=manifest,
                    replace=True,
                    at=self._now(),
                ),
            )
            self._mark_listed(made.id)
        return made

    # Reading.

    def snapshot(self, tx: Tx, table: TableDef) -> TableSnapshot:
        """The files of the table at ``table.snapshot_id``, with their statistics.

        Raises ``TableFilesGoneError`` for a snapshot past the time-travel window and
        ``WrongTableKindError`` for a view.
        """
        if table.snapshot_id is None or table.format is None:
            raise WrongTableKindError(f"{table.full_name} is a view and has no files")
        kept = self._cache.get(table.snapshot_id)
        if kept is not None:
            return kept
        manifest = self._manifest(tx, table)
        files = manifest.files
        if table.kind is TableKind.MANAGED:
            files = tuple(replace(one, uri=self._warehouse.uri(one.uri)) for one in files)
        made = TableSnapshot(
            table_id=table.id,
            snapshot_id=table.snapshot_id,
            files=files,
            groups=None if manifest.groups is None else row_groups(manifest.groups),
        )
        self._cache.put(made)
        return made

    def describe(self, tx: Tx, table: TableDef) -> TableDetails:
        """All that is known of a table; raises as ``snapshot``."""
        return describe(
            table,
            self.snapshot(tx, table),
            snapshots_of(tx, table.id, limit=_SHOWN_SNAPSHOTS),
            uri=self.uri(table),
        )

    def uri(self, table: TableDef) -> str:
        """Where the files of a table lie: its location, or its folder in the warehouse."""
        if table.location is None:
            raise WrongTableKindError(f"{table.full_name} is a view and has no files")
        if table.kind is TableKind.MANAGED:
            return self._warehouse.uri(table.location.rstrip("/"))
        return table.location

    def refresh(self, table: TableDef, *, max_age: timedelta) -> TableDef:
        """The table with the files that are at its location now; no transaction may be open.

        Lists only if this process did not within ``max_age``; threads that ask at the same time
        share one listing. Only when the listing differs is there a new snapshot, and only footers
        of new files are read. Managed tables and views come back as they are. Raises
        ``TableFilesGoneError`` when no file is left, and what discovery does for files that do not
        fit the table.
        """
        if table.kind is not TableKind.EXTERNAL:
            return table
        if self._listed_within(table.id, max_age):
            return table
        with self._lock:
            lock = self._listing.setdefault(table.id, threading.Lock())
        with lock:
            if self._listed_within(table.id, max_age):  # by the thread that was waited for
                return self._newest(table)
            return self._refresh(table)

    # Writing.

    def stage(
        self,
        tx: Tx,
        *,
        project_id: ProjectId,
        table_id: TableId | None,
        job_id: JobId,
        attempt: int,
        lease: timedelta = timedelta(days=1),
    ) -> Stage:
        """A new folder for an engine to write into; without a ``table_id`` for a table to be.

        It is given up when it is not committed within ``lease``. Raises ``TableNotWritableError``.
        """
        table = None if table_id is None else self._catalog.table_by_id(tx, table_id)
        if table_id is not None and table is None:
            raise TableChangedError("the table was dropped meanwhile", table_id=table_id)
        return open_stage(
            tx,
            self._warehouse,
            project_id=project_id,
            table=table,
            job_id=job_id,
            attempt=attempt,
            now=self._now(),
            lease=lease,
        )

    def inspect(self, stage: Stage) -> WrittenFiles:
        """What the engine left in ``stage``; see ``writes.inspect``. No transaction may be open."""
        return inspect(self._warehouse, stage)

    def commit(self, tx: Tx, change: Commit) -> TableDef:
        """Make written files the table's; see ``writes.commit``."""
        return commit(tx, self._catalog, change, now=self._now())

    def abandon(self, tx: Tx, job_id: JobId, *, attempt: int | None = None) -> int:
        """Give up the uncommitted folders of a job; they can never be committed afterwards."""
        return abandon_stages(tx, job_id, attempt, self._now())

    def sweep(self) -> int:
        """One tick of cleaning; see ``sweep.sweep``."""
        return sweep(self._database, self._warehouse, now=self._now(), window=self._window)

    def _refresh(self, table: TableDef) -> TableDef:
        assert table.location is not None
        listing = list_files(self._locations, table.location)
        with self._database.read() as tx:
            newest = self._catalog.table_by_id(tx, table.id)
            if newest is None:
                return table
            before = self._manifest(tx, newest)
        if _same(before, listing):
            self._mark_listed(table.id)
            return newest
        if not listing.files:
            raise TableFilesGoneError(
                f"the files of {newest.full_name} are gone: {newest.location} is empty",
                hint="put the files back, or drop the table",
                table=newest.full_name,
            )
        manifest = rediscover(self._locations, newest, listing, before)
        snapshot_id = self._new_snapshot_id()
        try:
            with self._database.transaction() as tx:
                after = self._catalog.set_snapshot(tx, newest, snapshot_id)
                add_snapshot(
                    tx,
                    Step(
                        table_id=table.id,
                        snapshot_id=snapshot_id,
                        operation=Operation.REFRESH,
                        manifest=manifest,
                        replace=True,
                        at=self._now(),
                    ),
                )
        except TableChangedError:  # another replica was first, with a listing as good as this
            after = self._newest(table)
        self._mark_listed(table.id)
        return after

    def _newest(self, table: TableDef) -> TableDef:
        with self._database.read() as tx:
            return self._catalog.table_by_id(tx, table.id) or table

    def _manifest(self, tx: Tx, table: TableDef) -> Manifest:
        assert table.snapshot_id is not None
        found = read_manifest(
            tx,
            table.id,
            table.snapshot_id,
            kind=table.format or TableFormat.PARQUET,
            columns=_data_columns(table),
        )
        if found is None:
            raise TableFilesGoneError(
                f"the files of {table.full_name} at the time of the statement are gone",
                hint="run the statement again",
                table=table.full_name,
            )
        return found

    def _listed_within(self, table_id: TableId, max_age: timedelta) -> bool:
        with self._lock:
            listed = self._listed.get(table_id)
        return listed is not None and self._clock.monotonic() - listed < max_age.total_seconds()

    def _mark_listed(self, table_id: TableId) -> None:
        with self._lock:
            self._listed[table_id] = self._clock.monotonic()

    def _new_snapshot_id(self) -> SnapshotId:
        return SnapshotId(new_id("snp", self._clock.now()))

    def _now(self) -> datetime:
        return self._clock.now()


def _data_columns(table: TableDef) -> list[Column]:
    return [column for column in table.columns if column.name not in table.partitioned_by]


def _same(manifest: Manifest, listing: Listing) -> bool:
    known = [(file.uri, file.size, file.etag) for file in manifest.files]
    return known == [(file.key, file.size, file.etag) for file in listing.files]
