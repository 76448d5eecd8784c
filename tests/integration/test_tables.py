"""Tables over a real S3 service, and many writers at once on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.catalog.definitions import TableFormat
from storage.catalog.errors import TableChangedError
from storage.meta.database import Database
from storage.objects.folder import FolderStore
from storage.objects.locations import Locations, UnknownBucketError
from storage.objects.s3 import S3Store
from storage.tables.errors import CorruptFileError, TableFilesGoneError
from storage.tables.writes import CommitMode
from tests.support.lake import WINDOW, Lake
from tests.support.servers import S3Server


def parquet(rows: int) -> bytes:
    """A Parquet file with the column ``x``."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": list(range(rows))}), sink, row_group_size=100)
    return bytes(sink.getvalue().to_pybytes())


@pytest.fixture
def bucket(s3_server: S3Server) -> S3Store:
    """A bucket of its own."""
    return S3Store(s3_server.bucket(), "", s3_server.settings)


@pytest.fixture
def remote(database: Database, bucket: S3Store, s3_server: S3Server, tmp_path: Path) -> Lake:
    """Tables whose data and warehouse are in one bucket."""
    locations = Locations(folders=[], s3=s3_server.settings, buckets=[bucket.bucket])
    warehouse = S3Store(bucket.bucket, "warehouse/", s3_server.settings)
    return Lake(database=database, data=tmp_path, warehouse=warehouse, locations=locations)


def test_a_partitioned_folder_of_a_bucket_is_a_table(remote: Lake, bucket: S3Store) -> None:
    for day in (1, 2):
        bucket.put(f"orders/day=2026-01-0{day}/part 1.parquet", parquet(day * 200))
    bucket.put("orders/_SUCCESS", b"x")
    base = f"s3://{bucket.bucket}/orders"
    table = remote.register(base + "/")
    assert (table.location, table.partitioned_by) == (base, ("day",))
    snapshot = remote.snapshot(table)
    assert [file.uri for file in snapshot.files] == [
        f"{base}/day=2026-01-0{day}/part 1.parquet" for day in (1, 2)
    ]
    assert snapshot.groups is not None
    assert snapshot.groups.rows.tolist() == [100] * 6


def test_changes_in_a_bucket_are_seen(remote: Lake, bucket: S3Store) -> None:
    bucket.put("t/a.parquet", parquet(5))
    table = remote.register(f"s3://{bucket.bucket}/t")
    bucket.put("t/a.parquet", parquet(7))
    bucket.put("t/b.parquet", parquet(1))
    after = remote.refresh(table)
    assert remote.snapshot(after).rows == 8
    for name in "ab":
        bucket.delete(f"t/{name}.parquet")
    with pytest.raises(TableFilesGoneError):
        remote.refresh(after)


def test_text_files_of_a_bucket_are_sampled(remote: Lake, bucket: S3Store) -> None:
    bucket.put("j/a.json", b'{"a": 1, "b": "x"}\n{"a": 2, "b": null}\n')
    table = remote.register(f"s3://{bucket.bucket}/j/*.json", format=TableFormat.JSON)
    assert [(one.name, one.type) for one in table.columns] == [("a", "bigint"), ("b", "string")]


def test_what_cannot_be_read_in_a_bucket_is_named(remote: Lake, bucket: S3Store) -> None:
    bucket.put("t/bad.parquet", b"x" * 500)
    with pytest.raises(CorruptFileError, match=r"s3://.*/t/bad\.parquet"):
        remote.register(f"s3://{bucket.bucket}/t")
    with pytest.raises(UnknownBucketError):
        remote.register("s3://somebody-elses-bucket/t")


def test_a_warehouse_in_a_bucket_takes_writes_and_is_swept(remote: Lake) -> None:
    table = remote.write(CommitMode.APPEND, remote.make(), {"x": [1, 2]}, {"x": [3]})
    after = remote.write(CommitMode.OVERWRITE, table, {"x": [9]})
    snapshot = remote.snapshot(after)
    assert snapshot.rows == 1
    assert snapshot.files[0].uri.startswith(remote.tables.uri(after) + "/data/stg_")
    remote.clock.advance(WINDOW + timedelta(seconds=1))
    while remote.tables.sweep():
        pass
    assert len(remote.objects()) == 1


@pytest.fixture
def local(database: Database, tmp_path: Path) -> Lake:
    """Tables whose warehouse is a folder."""
    return Lake(
        database=database,
        data=tmp_path,
        warehouse=FolderStore(tmp_path / "warehouse"),
        locations=Locations(folders=[tmp_path], s3=None, buckets=[]),
    )


def test_appends_at_the_same_time_are_all_kept(local: Lake) -> None:
    table = local.make()
    stages = [local.stage(table.id, job=f"stm_{number}") for number in range(12)]
    for number, stage in enumerate(stages):
        local.fill(stage, {"x": [number]})
    start = threading.Barrier(4)

    def append(part: int) -> None:
        start.wait(60)
        for stage in stages[part::4]:
            local.commit(stage, CommitMode.APPEND, table=table)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(append, range(4)))
    groups = local.snapshot(local.find("m")).groups
    assert groups is not None
    assert groups.columns["x"].lower is not None
    assert sorted(groups.columns["x"].lower.tolist()) == list(range(12))
    assert local.find("m").version == 13


def test_of_overwrites_at_the_same_time_one_wins(local: Lake) -> None:
    table = local.make()
    stages = [local.stage(table.id, job=f"stm_{number}") for number in range(6)]
    for number, stage in enumerate(stages):
        local.fill(stage, {"x": [0] * (number + 1)})
    start = threading.Barrier(len(stages))

    def overwrite(number: int) -> int | None:
        start.wait(60)
        try:
            local.commit(stages[number], CommitMode.OVERWRITE, table=table, base=table.snapshot_id)
        except TableChangedError:
            return None
        return number + 1

    with ThreadPoolExecutor(len(stages)) as threads:
        won = [rows for rows in threads.map(overwrite, range(len(stages))) if rows]
    assert [local.snapshot(local.find("m")).rows] == won
