"""From footers to one table of row groups, and from that to arrays that pruning works on.

In between it is an Arrow table, one row a row group, which is what is kept: ``file``, ``rows``, and
for each column of the table ``size:name`` (bytes), ``nulls:name`` (-1 unknown) and, where the type
has an order that both engines share, ``lower:name`` and ``upper:name`` (NULL where not known).

A bound that is kept must be true for every value of the row group but NULL and NaN, in the order
of the engines. So dropped are: bounds of an undeclared order (``Footer.ordered``), of INT96, of
binary, NaN, text that is not UTF-8, and pairs that are the wrong way round. Bounds that a writer
cut off are bounds still; long ones are cut here in the same way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from storage.catalog.definitions import Column
from storage.tables.filetypes import decimal_scale
from storage.tables.formats.parquet import FileColumn, Footer
from storage.tables.snapshots import ColumnStats, RowGroups

#: The stored form of a bound that Parquet gives, None if it must not be used.
Decoder = Callable[[Any], Any]

_LONGEST = 64  # characters of a kept string bound
_WIDE = pa.decimal128(38, 0)
_BOUND_TYPES: dict[str, pa.DataType] = {
    "boolean": pa.int64(),
    "tinyint": pa.int64(),
    "smallint": pa.int64(),
    "int": pa.int64(),
    "bigint": pa.int64(),
    "date": pa.int64(),
    "timestamp": pa.int64(),
    "timestamp_ntz": pa.int64(),
    "float": pa.float64(),
    "double": pa.float64(),
    "string": pa.string(),
}


def group_table(columns: Sequence[Column], footers: Iterable[Footer]) -> pa.Table:
    """Every row group of ``footers``, the first file numbered 0, over the table's ``columns``.

    The files' types must have been found readable as the table's before.
    """
    files: list[int] = []
    rows: list[int] = []
    gathered = [_Gathered(column) for column in columns]
    for number, footer in enumerate(footers):
        metadata = footer.metadata
        groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
        counts = [int(group.num_rows) for group in groups]
        files.extend([number] * len(groups))
        rows.extend(counts)
        by_name = {column.name.lower(): column for column in footer.columns}
        for one in gathered:
            one.add(footer, by_name.get(one.name), groups, counts)
    arrays: dict[str, pa.Array] = {
        "file": pa.array(files, pa.int32()),
        "rows": pa.array(rows, pa.int64()),
    }
    for one in gathered:
        arrays.update(one.arrays())
    return pa.table(arrays)


def row_groups(table: pa.Table) -> RowGroups:
    """The arrays of a table that ``group_table`` made."""
    names = [name.removeprefix("size:") for name in table.column_names if name[:5] == "size:"]
    return RowGroups(
        file=_numbers(table["file"], np.dtype(np.int32)),
        rows=_numbers(table["rows"], np.dtype(np.int64)),
        columns={name: _column_stats(table, name) for name in names},
    )


def _column_stats(table: pa.Table, name: str) -> ColumnStats:
    lower = upper = None
    bounded = np.zeros(table.num_rows, dtype=np.bool_)
    if f"lower:{name}" in table.column_names:
        low, high = table[f"lower:{name}"], table[f"upper:{name}"]
        bounded = np.asarray(low.is_valid().to_numpy(), dtype=np.bool_)
        if bounded.any() or not len(bounded):
            lower, upper = _bounds(low), _bounds(high)
    return ColumnStats(
        compressed=_numbers(table[f"size:{name}"], np.dtype(np.int64)),
        nulls=_numbers(table[f"nulls:{name}"], np.dtype(np.int64)),
        bounded=bounded,
        lower=lower,
        upper=upper,
    )


def _numbers(column: pa.ChunkedArray, kind: np.dtype[Any]) -> Any:
    return column.to_numpy().astype(kind, copy=False)


def _bounds(column: pa.ChunkedArray) -> npt.NDArray[np.generic]:
    """Bounds as an array; what is unknown becomes a value of the same type."""
    if pa.types.is_string(column.type):
        return np.asarray(column.fill_null("").to_numpy(), dtype=object)
    if pa.types.is_decimal(column.type):
        column = column.fill_null(Decimal(0))
        try:
            return np.asarray(column.cast(pa.int64()).to_numpy().astype(object))
        except pa.ArrowInvalid:  # some do not fit; this way is ten times slower
            done = np.empty(len(column), dtype=object)
            done[:] = [int(value) for value in column.to_pylist()]
            return done
    return np.asarray(column.fill_null(0).to_numpy())


class _Gathered:
    """What is known of one column, in the order in which row groups are added."""

    def __init__(self, column: Column) -> None:
        self.name = column.name.lower()
        self._type = column.type
        self._scale = decimal_scale(column.type)
        self._kind = _bound_type(column.type)
        self._sizes: list[int] = []
        self._nulls: list[int] = []
        self._lower: list[Any] = []
        self._upper: list[Any] = []

    def add(
        self,
        footer: Footer,
        column: FileColumn | None,
        groups: Sequence[pq.RowGroupMetaData],
        counts: Sequence[int],
    ) -> None:
        if column is None:  # the file was written before the column was added
            self._sizes.extend([0] * len(groups))
            self._nulls.extend(counts)
            self._unknown(len(groups))
            return
        first, leaves = column.first_leaf, column.leaves
        if column.nested:
            for group in groups:
                chunks = (group.column(first + leaf) for leaf in range(leaves))
                self._sizes.append(sum(chunk.total_compressed_size for chunk in chunks))
            self._nulls.extend([-1] * len(groups))
            self._unknown(len(groups))
            return
        schema = footer.metadata.schema.column(first)
        decode = self._decoder(schema, ordered=footer.ordered) if self._kind else None
        required = schema.max_definition_level == 0
        for group in groups:
            chunk = group.column(first)
            self._sizes.append(chunk.total_compressed_size)
            statistics = chunk.statistics
            known = statistics is not None and statistics.has_null_count
            self._nulls.append(statistics.null_count if known else 0 if required else -1)
            lower = upper = None
            if decode is not None and statistics is not None and statistics.has_min_max:
                lower, upper = decode(statistics.min_raw), decode(statistics.max_raw)
                if self._kind == pa.string() and upper is not None:
                    upper = _cut_upper(upper)
                if lower is None or upper is None or lower > upper:
                    lower = upper = None
                elif self._kind == pa.string():
                    lower = lower[:_LONGEST]
            self._lower.append(lower)
            self._upper.append(upper)

    def arrays(self) -> dict[str, pa.Array]:
        done: dict[str, pa.Array] = {
            f"size:{self.name}": pa.array(self._sizes, pa.int64()),
            f"nulls:{self.name}": pa.array(self._nulls, pa.int64()),
        }
        if self._kind is not None:
            done[f"lower:{self.name}"] = _stored(self._lower, self._kind)
            done[f"upper:{self.name}"] = _stored(self._upper, self._kind)
        return done

    def _unknown(self, count: int) -> None:
        self._lower.extend([None] * count)
        self._upper.extend([None] * count)

    def _decoder(self, schema: pq.ColumnSchema, *, ordered: bool) -> Decoder | None:
        """How to read a bound of this leaf as one of the table's type, None if it has none."""
        physical = schema.physical_type
        logical = json.loads(schema.logical_type.to_json())
        if physical in ("FLOAT", "DOUBLE"):
            return _number if self._type in ("float", "double") else None
        if physical == "BOOLEAN":
            return int if self._type == "boolean" else None
        if physical in ("INT32", "INT64"):
            return self._integer_decoder(physical, logical, ordered=ordered)
        if not ordered:
            return None
        if logical["Type"] == "Decimal":
            return _two_complement if logical["scale"] == self._scale else None
        if logical["Type"] == "String":
            return _text if self._type == "string" else None
        return None

    def _integer_decoder(
        self, physical: str, logical: dict[str, Any], *, ordered: bool
    ) -> Decoder | None:
        kind = logical["Type"]
        if kind == "Timestamp":
            if self._type not in ("timestamp", "timestamp_ntz"):
                return None
            return _MOMENTS.get(logical["timeUnit"])
        if kind == "Date":
            return int if self._type == "date" else None
        if kind == "Decimal":
            return int if logical["scale"] == self._scale else None
        if kind == "Int" and not logical["isSigned"]:
            bits = 32 if physical == "INT32" else 64
            wanted = self._scale == 0 or self._type in _INTEGERS
            return (lambda raw: raw % (1 << bits)) if ordered and wanted else None
        return int if kind in ("Int", "None") and self._type in _INTEGERS else None


_INTEGERS = ("tinyint", "smallint", "int", "bigint")


def _bound_type(kind: str) -> pa.DataType | None:
    """Arrow's type of a kept bound; None for types that are not compared (binary, nested)."""
    return _WIDE if decimal_scale(kind) is not None else _BOUND_TYPES.get(kind)


def _stored(values: list[Any], kind: pa.DataType) -> pa.Array:
    if kind == _WIDE:
        return pa.array([None if one is None else Decimal(one) for one in values], _WIDE)
    return pa.array(values, kind)


def _number(raw: float) -> float | None:
    return None if math.isnan(raw) else float(raw)


def _thousandfold(raw: int) -> int | None:
    scaled = raw * 1000
    return scaled if -(1 << 63) <= scaled < 1 << 63 else None


_MOMENTS: dict[str, Decoder] = {"milliseconds": _thousandfold, "microseconds": int}


def _two_complement(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _cut_upper(text: str) -> str | None:
    """A text of bounded length that is not below ``text``; None if there is none."""
    if len(text) <= _LONGEST:
        return text
    for end in range(_LONGEST, 0, -1):
        last = ord(text[end - 1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1  # not a surrogate
            return text[: end - 1] + chr(following)
    return None
