"""What is shown of a table: its snapshots, and its statistics summed over all files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from storage.catalog.definitions import TableDef
from storage.tables.filetypes import decimal_scale
from storage.tables.snapshots import ColumnStats, TableFile, TableSnapshot
from storage.tables.timeline import SnapshotInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """A column over all files. ``lower`` and ``upper`` are texts; None where a file tells none.

    They are bounds: floats may be NaN beside them, and long strings are cut.
    """

    name: str
    type: str
    lower: str | None
    upper: str | None
    nulls: int | None
    compressed: int | None  #: bytes in the files; None for text formats and partition columns


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDetails:
    """A table with what its files say."""

    table: TableDef
    uri: str  #: where its files lie
    files: tuple[TableFile, ...]
    rows: int | None
    bytes: int
    row_groups: int | None
    partitions: int | None
    snapshots: tuple[SnapshotInfo, ...]  #: newest first
    columns: tuple[ColumnSummary, ...]


def describe(
    table: TableDef,
    snapshot: TableSnapshot,
    snapshots: tuple[SnapshotInfo, ...],
    *,
    uri: str,
) -> TableDetails:
    """Put together what is known of a table."""
    groups = snapshot.groups
    return TableDetails(
        table=table,
        uri=uri,
        files=snapshot.files,
        rows=snapshot.rows,
        bytes=snapshot.size,
        row_groups=None if groups is None else len(groups.rows),
        partitions=len({file.partition for file in snapshot.files})
        if table.partitioned_by
        else None,
        snapshots=snapshots,
        columns=tuple(
            _summary(
                column.name,
                column.type,
                None if groups is None else groups.columns.get(column.name.lower()),
            )
            for column in table.columns
        ),
    )


def _summary(name: str, kind: str, stats: ColumnStats | None) -> ColumnSummary:
    if stats is None:
        return ColumnSummary(
            name=name, type=kind, lower=None, upper=None, nulls=None, compressed=None
        )
    lower = upper = None
    known_all = len(stats.bounded) > 0 and bool(stats.bounded.all())
    if known_all and stats.lower is not None and stats.upper is not None:
        lower = bound_text(min(stats.lower.tolist()), kind)
        upper = bound_text(max(stats.upper.tolist()), kind)
    known = bool((stats.nulls >= 0).all())
    return ColumnSummary(
        name=name,
        type=kind,
        lower=lower,
        upper=upper,
        nulls=int(stats.nulls.sum()) if known else None,
        compressed=int(stats.compressed.sum()),
    )


def bound_text(value: Any, kind: str) -> str:
    """A bound of ``ColumnStats`` as text: ISO for dates and moments, plain digits for decimals."""
    scale = decimal_scale(kind)
    if scale is not None:
        return format(Decimal(f"{int(value)}E-{scale}"), "f")  # exact, whatever the context
    if kind == "boolean":
        return "true" if value else "false"
    try:
        if kind == "date":
            return (date(1970, 1, 1) + timedelta(days=int(value))).isoformat()
        if kind in ("timestamp", "timestamp_ntz"):
            text = (_EPOCH + timedelta(microseconds=int(value))).isoformat()
            return text.replace("+00:00", "Z" if kind == "timestamp" else "")
    except OverflowError:  # a year that Python does not have
        return str(value)
    return str(value)
