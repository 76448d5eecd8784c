"""Tables from registering to refreshing, on both databases."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import BinaryIO

import pyarrow as pa
import pytest

from storage.base.ids import SnapshotId
from storage.catalog.commands import CreateTable, CreateView, DropTable
from storage.catalog.definitions import Column, TableKind
from storage.catalog.errors import InvalidDefinitionError, WrongTableKindError
from storage.objects.locations import Locations
from storage.tables.errors import FileTypeChangedError, TableFilesGoneError
from tests.support.lake import PROJECT, Lake
from tests.support.parquet import write


def names(lake: Lake) -> list[str]:
    """The files of ``d.t`` without their folders."""
    return [file.uri.rsplit("/", 1)[1] for file in lake.snapshot(lake.find()).files]


def test_a_snapshot_has_files_and_their_statistics(lake: Lake) -> None:
    write(lake.data / "1.parquet", {"a": [1, 2, None]}, row_group_size=2)
    path = write(lake.data / "2.parquet", {"a": [7]})
    snapshot = lake.snapshot(lake.register(lake.data))
    assert snapshot.rows == 4
    assert (snapshot.files[1].uri, snapshot.files[1].size) == (
        f"file://{path}",
        path.stat().st_size,
    )
    groups = snapshot.groups
    assert groups is not None
    assert (groups.file.tolist(), groups.rows.tolist()) == ([0, 0, 1], [2, 1, 1])
    stats = groups.columns["a"]
    assert stats.lower is not None
    assert stats.lower[stats.bounded].tolist() == [1, 7]
    assert stats.nulls.tolist() == [0, 1, 0]


def test_a_snapshot_is_read_once_a_process(lake: Lake) -> None:
    write(lake.data / "1.parquet", {"a": [1]})
    table = lake.register(lake.data)
    with lake.database.read() as tx:
        first = lake.tables.snapshot(tx, table)
        assert lake.tables.snapshot(tx, table) is first
        assert lake.another().snapshot(tx, table) is not first


def test_a_view_has_no_files(lake: Lake) -> None:
    column = Column(name="a", type="int")
    lake.apply(CreateView(database="d", name="v", columns=(column,), sql="SELECT 1 a"))
    view = lake.find("v")
    assert lake.refresh(view) == view
    with pytest.raises(WrongTableKindError):
        lake.snapshot(view)
    with pytest.raises(WrongTableKindError):
        lake.tables.uri(view)


def test_if_not_exists_keeps_the_table_and_its_files(lake: Lake) -> None:
    write(lake.data / "1.parquet", {"a": [1]})
    table = lake.register(lake.data)
    write(lake.data / "2.parquet", {"a": [2]})
    assert lake.register(lake.data, if_not_exists=True) == table
    assert lake.snapshot(table).rows == 1


def test_or_replace_starts_with_the_files_of_now(lake: Lake) -> None:
    write(lake.data / "1.parquet", {"a": [1]})
    first = lake.register(lake.data)
    write(lake.data / "2.parquet", {"b": [2]})
    second = lake.register(lake.data, or_replace=True)
    assert [one.name for one in second.columns] == ["a", "b"]
    assert lake.snapshot(second).rows == 2
    assert lake.snapshot(first).rows == 1


def test_an_empty_managed_table_has_its_columns(lake: Lake) -> None:
    table = lake.make(x="bigint", s="string")
    assert table.kind is TableKind.MANAGED
    snapshot = lake.snapshot(table)
    assert (snapshot.files, snapshot.rows) == ((), 0)
    assert snapshot.groups is not None
    assert set(snapshot.groups.columns) == {"x", "s"}
    assert lake.tables.uri(table).endswith(f"/warehouse/project-tables/{PROJECT}/{table.id}")
    assert lake.refresh(table) == table


def test_new_changed_and_removed_files_are_seen(lake: Lake) -> None:
    for name in ("a", "b", "c"):
        write(lake.data / f"{name}.parquet", {"x": [1]})
    table = lake.register(lake.data)
    write(lake.data / "aa.parquet", {"x": [1] * 10})
    write(lake.data / "b.parquet", {"x": [5, 6]})
    (lake.data / "c.parquet").unlink()
    after = lake.refresh(table)
    assert (after.version, lake.find()) == (2, after)
    assert names(lake) == ["a.parquet", "aa.parquet", "b.parquet"]
    snapshot = lake.snapshot(after)
    assert snapshot.groups is not None
    assert snapshot.groups.file.tolist() == [0, 1, 2]
    assert snapshot.groups.rows.tolist() == [1, 10, 2]
    assert lake.snapshot(table).rows == 3


def test_only_changed_files_are_read_again(lake: Lake) -> None:
    for number in range(5):
        write(lake.data / f"{number}.parquet", {"x": [number]})
    table = lake.register(lake.data)
    write(lake.data / "2.parquet", {"x": [1, 2]})
    opened: list[str] = []

    class Watched(Locations):
        def open(self, uri: str, size: int) -> BinaryIO:
            opened.append(uri.rsplit("/", 1)[1])
            return super().open(uri, size)

    lake.locations = Watched(folders=[lake.data], s3=None, buckets=[])
    lake.another().refresh(table, max_age=timedelta(0))
    assert opened == ["2.parquet"]


def test_a_file_changed_in_place_is_seen(lake: Lake) -> None:
    path = write(lake.data / "a.parquet", {"x": [1]}, compression="none")
    table = lake.register(lake.data)
    before = path.stat()
    write(path, {"x": [2]}, compression="none")
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    stats = lake.snapshot(lake.refresh(table)).groups
    assert stats is not None
    assert stats.columns["x"].lower is not None
    assert stats.columns["x"].lower[0] == 2


def test_the_same_files_are_the_same_snapshot(lake: Lake) -> None:
    write(lake.data / "a.parquet", {"x": [1]})
    table = lake.register(lake.data)
    assert lake.refresh(table) == table


def test_a_fresh_listing_is_not_repeated(lake: Lake) -> None:
    write(lake.data / "a.parquet", {"x": [1]})
    table = lake.register(lake.data)
    write(lake.data / "b.parquet", {"x": [1]})
    age = timedelta(seconds=30)
    assert lake.refresh(table, age) == table
    lake.clock.advance(age)
    assert lake.refresh(table, age).version == 2


def test_two_processes_make_one_new_snapshot_of_one_change(lake: Lake) -> None:
    write(lake.data / "a.parquet", {"x": [1]})
    table = lake.register(lake.data)
    write(lake.data / "b.parquet", {"x": [1]})
    processes = [lake.another() for _ in range(4)]
    start = threading.Barrier(len(processes))

    def look(number: int) -> int:
        start.wait(60)
        return processes[number].refresh(table, max_age=timedelta(0)).version

    with ThreadPoolExecutor() as threads:
        versions = set(threads.map(look, range(len(processes))))
    assert lake.snapshot(lake.find()).rows == 2
    assert max(versions) <= lake.find().version <= 1 + len(processes)


def test_files_that_are_gone_are_told(lake: Lake) -> None:
    path = write(lake.data / "a.parquet", {"x": [1]})
    table = lake.register(lake.data)
    path.unlink()
    with pytest.raises(TableFilesGoneError, match=r"d\.t"):
        lake.refresh(table)
    assert lake.find() == table
    write(path, {"x": [1, 2]})
    assert lake.snapshot(lake.refresh(table)).rows == 2


def test_a_file_of_another_type_is_told(lake: Lake) -> None:
    write(lake.data / "a.parquet", {"x": [1]})
    table = lake.register(lake.data)
    write(lake.data / "b.parquet", {"x": ["1"]})
    with pytest.raises(FileTypeChangedError, match=r"b\.parquet: the column 'x'"):
        lake.refresh(table)
    assert lake.find() == table


def test_a_new_column_of_a_file_is_not_seen_and_a_lost_one_is_null(lake: Lake) -> None:
    write(lake.data / "a.parquet", {"x": [1]})
    table = lake.register(lake.data)
    write(lake.data / "b.parquet", {"y": [1, 2]})
    after = lake.refresh(table)
    assert after.columns == table.columns
    groups = lake.snapshot(after).groups
    assert groups is not None
    assert groups.columns["x"].nulls.tolist() == [0, 2]
    assert "y" not in groups.columns


def test_a_change_of_the_partition_folders_is_told(lake: Lake) -> None:
    path = write(lake.data / "k=1" / "a.parquet", {"x": [1]})
    table = lake.register(lake.data)
    path.unlink()
    write(lake.data / "a.parquet", {"x": [1]})
    with pytest.raises(InvalidDefinitionError, match="partitioned by k"):
        lake.refresh(table)


def test_a_table_dropped_meanwhile_is_not_brought_back(lake: Lake) -> None:
    write(lake.data / "a.parquet", {"x": [1]})
    table = lake.register(lake.data)
    lake.apply(DropTable(database="d", name="t"))
    write(lake.data / "b.parquet", {"x": [1]})
    assert lake.refresh(table) == table
    assert lake.snapshot(table).rows == 1


def test_a_snapshot_that_is_gone_is_told(lake: Lake) -> None:
    table = replace(lake.make(), snapshot_id=SnapshotId("snp_gone"))
    with pytest.raises(TableFilesGoneError):
        lake.snapshot(table)


def test_ten_thousand_row_groups_load_at_once(lake: Lake) -> None:
    data = pa.table({"x": list(range(20_000)), "s": [f"v{n}" for n in range(20_000)]})
    write(lake.data / "a.parquet", data, row_group_size=2)
    groups = lake.snapshot(lake.register(lake.data)).groups
    assert groups is not None
    assert len(groups.rows) == 10_000
    assert groups.columns["x"].upper is not None
    assert groups.columns["x"].upper.tolist() == list(range(1, 20_000, 2))


def test_what_is_shown_of_a_table(lake: Lake) -> None:
    write(lake.data / "k=1" / "a.parquet", {"x": [1, None]})
    write(lake.data / "k=2" / "b.parquet", {"x": [-7, 3]})
    table = lake.register(lake.data)
    with lake.database.read() as tx:
        details = lake.tables.describe(tx, table)
    assert (details.rows, details.row_groups, details.partitions) == (4, 2, 2)
    assert details.bytes == sum(file.size for file in details.files)
    x, k = details.columns
    assert (x.lower, x.upper, x.nulls) == ("-7", "3", 1)
    assert (k.name, k.lower, k.compressed) == ("k", None, None)
    (one,) = details.snapshots
    assert (one.id, one.number, one.files, one.rows) == (table.snapshot_id, 1, 2, 4)


def test_discovery_needs_no_transaction_and_apply_no_files(lake: Lake) -> None:
    path = write(lake.data / "a.parquet", {"x": [1]})
    command = CreateTable(database="d", name="t", location=str(lake.data))
    found = lake.tables.discover(command)
    path.unlink()
    with lake.database.transaction() as tx:
        lake.tables.apply(tx, PROJECT, command, found=found)
    assert names(lake) == ["a.parquet"]
