"""Snapshots made straight from pyarrow tables and Parquet footers, without a catalog."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sql.analysis.view import Relation
from storage.base.ids import ProjectId, SnapshotId, TableId
from storage.catalog.definitions import Column, TableDef, TableFormat, TableKind
from storage.tables.snapshots import ColumnStats, RowGroups, TableFile, TableSnapshot

_SPARK = {
    "int32": "int", "int64": "bigint", "date32[day]": "date", "large_string": "string",
    "string_view": "string", "timestamp[us]": "timestamp_ntz", "bool": "boolean",
}  # fmt: skip
_EPOCH = date(1970, 1, 1)
_START = datetime(1970, 1, 1)  # noqa: DTZ001  files hold naive moments, and they are UTC


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


def parquet_bytes(table: pa.Table, *, group_rows: int) -> bytes:
    """``table`` as a Parquet file of row groups of ``group_rows`` rows."""
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=group_rows, compression="snappy")
    return sink.getvalue()


def make_snapshot(
    table: TableDef, files: Sequence[tuple[bytes, tuple[str | None, ...]]]
) -> TableSnapshot:
    """The snapshot of Parquet files, each given by its bytes and its partition values."""
    items, file_of, rows, chunks = [], [], [], []
    for place, (data, partition) in enumerate(files):
        footer = pq.read_metadata(io.BytesIO(data))
        uri = f"file:///data/{table.name}/{place}.parquet"
        items.append(
            TableFile(uri=uri, size=len(data), rows=footer.num_rows, etag="0", partition=partition)
        )
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            file_of.append(place)
            rows.append(group.num_rows)
            chunks.append(
                {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
            )
    names = [column.name for column in table.columns if column.name not in table.partitioned_by]
    groups = RowGroups(
        file=np.array(file_of, dtype=np.int32),
        rows=np.array(rows, dtype=np.int64),
        columns={name: _stats([chunk.get(name) for chunk in chunks], rows) for name in names},
    )
    snapshot_id = table.snapshot_id
    assert snapshot_id is not None
    return TableSnapshot(
        table_id=table.id, snapshot_id=snapshot_id, files=tuple(items), groups=groups
    )


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
    return Relation(definition=table, snapshot=snapshot)


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


def _stats(chunks: list[Any], rows: list[int]) -> ColumnStats:
    bounds = [_bounds(chunk) for chunk in chunks]
    sample = next((low for low, _ in filter(None, bounds)), None)
    kind = {int: np.int64, float: np.float64}.get(type(sample), object)
    decimal = any(
        chunk is not None and chunk.statistics is not None
        and chunk.statistics.logical_type.type == "DECIMAL" for chunk in chunks
    )  # fmt: skip
    lower = np.zeros(len(chunks), dtype=object if decimal else kind)
    upper = lower.copy()
    for place, bound in enumerate(bounds):
        if bound is not None:
            lower[place], upper[place] = bound
    nulls = [
        count if chunk is None else _nulls(chunk) for chunk, count in zip(chunks, rows, strict=True)
    ]
    sizes = [0 if chunk is None else chunk.total_compressed_size for chunk in chunks]
    return ColumnStats(
        compressed=np.array(sizes, dtype=np.int64),
        nulls=np.array(nulls, dtype=np.int64),
        bounded=np.array([bound is not None for bound in bounds], dtype=np.bool_),
        lower=lower,
        upper=upper,
    )


def _nulls(chunk: Any) -> int:
    known = chunk.statistics is not None and chunk.statistics.has_null_count
    return int(chunk.statistics.null_count) if known else -1


def _bounds(chunk: Any) -> tuple[Any, Any] | None:
    if chunk is None or chunk.statistics is None or not chunk.statistics.has_min_max:
        return None
    low, high = _place(chunk.statistics.min), _place(chunk.statistics.max)
    return None if low is None or low != low or high != high else (low, high)


def _place(value: Any) -> Any:
    """The value in its order space, as ``ColumnStats`` describes it."""
    match value:
        case bool():
            return int(value)
        case datetime():
            span = value.replace(tzinfo=None) - _START
            return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
        case date():
            return (value - _EPOCH).days
        case Decimal():
            exponent = value.as_tuple().exponent
            assert isinstance(exponent, int)
            return int(value.scaleb(-exponent))
        case int() | float() | str():
            return value
    return None
