"""Snapshots made straight from pyarrow tables and Parquet files, without a catalog."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sql.analysis.view import Relation
from storage.base.ids import ProjectId, SnapshotId, TableId
from storage.catalog.definitions import Column, TableDef, TableFormat, TableKind
from storage.objects.api import ObjectInfo
from storage.tables.formats.parquet import Footer, read_footer
from storage.tables.snapshots import TableFile, TableSnapshot
from storage.tables.statistics import group_table, row_groups

_SPARK = {
    "int32": "int", "int64": "bigint", "date32[day]": "date", "large_string": "string",
    "string_view": "string", "timestamp[us]": "timestamp_ntz", "bool": "boolean",
}  # fmt: skip


def make_table(
    name: str,
    columns: Sequence[tuple[str, str]],
    *,
    partitioned_by: tuple[str, ...] = (),
    table_format: TableFormat = TableFormat.PARQUET,
) -> TableDef:
    """An external table ``default.<name>`` with columns of Spark types."""
    database, _, short = name.rpartition(".")
    return TableDef(
        id=TableId(f"tbl_{short}"),
        project_id=ProjectId("default"),
        database=database or "default",
        name=short,
        kind=TableKind.EXTERNAL,
        columns=tuple(Column(name=column, type=kind) for column, kind in columns),
        format=table_format,
        location=f"file:///data/{short}",
        partitioned_by=partitioned_by,
        version=1,
        snapshot_id=SnapshotId(f"snp_{short}"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def parquet_bytes(
    table: pa.Table, *, group_rows: int, statistics: bool | list[str] = True
) -> bytes:
    """``table`` as a Parquet file of row groups of ``group_rows`` rows."""
    sink = io.BytesIO()
    pq.write_table(
        table, sink, row_group_size=group_rows, compression="snappy", write_statistics=statistics
    )
    return sink.getvalue()


def make_snapshot(
    table: TableDef, files: Sequence[tuple[bytes, tuple[str | None, ...]]]
) -> TableSnapshot:
    """The snapshot of Parquet files, each given by its bytes and its partition values."""
    items, footers = [], []
    for place, (data, partition) in enumerate(files):
        uri = f"file:///data/{table.name}/{place}.parquet"
        info = ObjectInfo(key=uri, size=len(data), etag=str(place))
        footers.append(_footer(data, info))
        items.append(
            TableFile(
                uri=uri,
                size=info.size,
                rows=footers[-1].rows,
                etag=info.etag,
                partition=partition,
            )
        )
    own = [column for column in table.columns if column.name not in table.partitioned_by]
    snapshot_id = table.snapshot_id
    assert snapshot_id is not None
    return TableSnapshot(
        table_id=table.id,
        snapshot_id=snapshot_id,
        files=tuple(items),
        groups=row_groups(group_table(own, footers)),
    )


def _footer(data: bytes, info: ObjectInfo) -> Footer:
    def open_file(key: str, size: int) -> BinaryIO:
        return io.BytesIO(data)

    return read_footer(open_file, info)


def relation_over(
    name: str,
    files: Sequence[tuple[Path, tuple[str | None, ...]]],
    *,
    partitions: Sequence[tuple[str, str]] = (),
) -> Relation:
    """A table of Parquet files on disk with the types they have; partition columns come last."""
    schema = pq.read_schema(files[0][0])
    columns = [(field.name, _spark_type(field.type)) for field in schema]
    table = make_table(
        name, [*columns, *partitions], partitioned_by=tuple(name for name, _ in partitions)
    )
    snapshot = make_snapshot(table, [(path.read_bytes(), values) for path, values in files])
    placed = tuple(
        replace(file, uri=str(path)) for file, (path, _) in zip(snapshot.files, files, strict=True)
    )
    return Relation(definition=table, snapshot=replace(snapshot, files=placed))


def relation_of(
    name: str,
    files: Mapping[tuple[str | None, ...], pa.Table],
    *,
    partitions: Sequence[tuple[str, str]] = (),
    group_rows: int = 1_000_000,
) -> Relation:
    """A table of one file for each partition (``()`` without any), from rows in memory."""
    first = next(iter(files.values()))
    columns = [(field.name, _spark_type(field.type)) for field in first.schema]
    table = make_table(
        name, [*columns, *partitions], partitioned_by=tuple(name for name, _ in partitions)
    )
    contents = [(parquet_bytes(rows, group_rows=group_rows), key) for key, rows in files.items()]
    return Relation(definition=table, snapshot=make_snapshot(table, contents))


def _spark_type(kind: pa.DataType) -> str:
    text = _SPARK.get(str(kind), str(kind))
    return text.replace("decimal128", "decimal").replace(", ", ",")
